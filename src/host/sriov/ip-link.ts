import * as z from 'zod';
import type { HostRoot } from '../root.ts';

/** The settings of one VF of a network card. Null if this driver, or this version of `ip`, does not report it. */
export type VfAttributes = {
  readonly mac: string | null;
  /** 0: untagged. */
  readonly vlan: number;
  readonly qos: number;
  readonly trust: boolean | null;
  readonly spoofCheck: boolean | null;
  readonly linkState: 'auto' | 'enable' | 'disable' | null;
  /** Mbit/s, 0 = no limit. */
  readonly maxTxRate: number;
  readonly minTxRate: number;
};

/** `vfinfo_list` of iproute2; `mac` was renamed to `address` in 4.20, VLANs may come as a list. */
const vfSchema = z.object({
  vf: z.number(),
  mac: z.string().optional(),
  address: z.string().optional(),
  vlan: z.number().optional(),
  qos: z.number().optional(),
  vlan_list: z.array(z.object({ vlan: z.number().optional(), qos: z.number().optional() })).optional(),
  trust: z.boolean().optional(),
  spoofchk: z.boolean().optional(),
  link_state: z.enum(['auto', 'enable', 'disable']).optional(),
  tx_rate: z.number().optional(),
  rate: z.object({ max_tx: z.number().optional(), min_tx: z.number().optional() }).optional(),
});
const linksSchema = z.array(
  z.object({
    ifname: z.string().optional(),
    permaddr: z.string().optional(),
    vfinfo_list: z.array(vfSchema).optional(),
  }),
);

export type LinkInfo = {
  /** The permanent MAC address, if another one is in use. */
  readonly permanentMac: string | null;
  /** By VF index. */
  readonly vfs: ReadonlyMap<number, VfAttributes>;
};

/** Interfaces by name, from `ip -j -d link`; null if `ip` is not installed or its output is not JSON. */
export async function readLinks(root: HostRoot): Promise<Map<string, LinkInfo> | null> {
  const result = await root.query('ip', '-j', '-d', 'link');
  return result?.exitCode === 0 ? parseLinks(result.stdout) : null;
}

export function parseLinks(json: string): Map<string, LinkInfo> | null {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // BusyBox has no -j and prints text.
    return null;
  }
  const links = linksSchema.safeParse(value);
  if (!links.success) return null;
  return new Map(
    links.data
      .filter(link => link.ifname !== undefined)
      .map(link => [
        link.ifname!,
        {
          permanentMac: link.permaddr ?? null,
          vfs: new Map((link.vfinfo_list ?? []).map(vf => [vf.vf, vfAttributes(vf)])),
        },
      ]),
  );
}

function vfAttributes(vf: z.infer<typeof vfSchema>): VfAttributes {
  const tag = vf.vlan_list?.[0] ?? vf;
  return {
    mac: vf.address ?? vf.mac ?? null,
    vlan: tag.vlan ?? 0,
    qos: tag.qos ?? 0,
    trust: vf.trust ?? null,
    spoofCheck: vf.spoofchk ?? null,
    linkState: vf.link_state ?? null,
    maxTxRate: vf.rate?.max_tx ?? vf.tx_rate ?? 0,
    minTxRate: vf.rate?.min_tx ?? 0,
  };
}
