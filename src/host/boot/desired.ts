import * as z from 'zod';
import type { HostRoot } from '../root.ts';
import { identitySchema } from './identity.ts';

/** The desired state of the host's devices at every boot: written by `--persist`, applied by `vring host restore`. */
export const desiredPath = '/etc/vring/host.json';
/** The service that applies it and loads the drivers it needs, and where `systemctl enable` links it. */
export const hostService = 'vring-host.service';
export const hostServiceLink = `/etc/systemd/system/multi-user.target.wants/${hostService}`;

const attributesSchema = z.object({
  mac: z.string().optional(),
  vlan: z.number().optional(),
  qos: z.number().optional(),
  trust: z.boolean().optional(),
  spoofCheck: z.boolean().optional(),
  linkState: z.enum(['auto', 'enable', 'disable']).optional(),
  maxTxRate: z.number().optional(),
  minTxRate: z.number().optional(),
});

export const desiredSchema = z.object({
  version: z.literal(1),
  /** Ordinary functions by address: the driver each one gets. */
  devices: z.record(z.string(), z.object({ driver: z.string(), identity: identitySchema })),
  /** Physical functions by address: the number of VFs, and their drivers and settings by index. */
  sriov: z.record(
    z.string(),
    z.object({
      identity: identitySchema,
      count: z.number().int().nonnegative(),
      vfs: z.record(
        z.string(),
        z.object({ driver: z.string().optional(), attributes: attributesSchema.optional() }),
      ),
    }),
  ),
});

export type Desired = z.infer<typeof desiredSchema>;
export type DesiredVf = Desired['sriov'][string]['vfs'][string];

/** The stored desired state; empty if there is no file. @throws if the file is invalid */
export function readDesired(root: HostRoot): Desired {
  const text = root.text(desiredPath);
  if (text === null) return { version: 1, devices: {}, sriov: {} };
  try {
    return desiredSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(`${desiredPath} is not valid: fix it, or remove it to discard what --persist stored`, {
      cause,
    });
  }
}

export function formatDesired(desired: Desired): string {
  return `${JSON.stringify(desired, null, 2)}\n`;
}
