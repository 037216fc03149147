import * as z from 'zod';
import type { TpmOptions } from '../../devices/backends/tpm.ts';
import { hostPath } from './text.ts';

/** A Trusted Platform Module. */
export const tpm = z
  .strictObject({
    version: z
      .literal(2)
      .default(2)
      .meta({ description: 'TPM 2.0, the only supported version.', examples: [2] }),
    model: z
      .enum(['tis', 'crb'])
      .default('tis')
      .meta({
        description: 'Its interface: `tis`, which all systems support, or `crb`.',
        examples: ['crb'],
      }),
    socket: hostPath.optional().meta({
      description: 'The control socket of a running swtpm. Default: vring starts one with the VM.',
      examples: ['/run/swtpm/web.sock'],
    }),
    state: hostPath.optional().meta({
      description: 'The folder with its state. Default: one that vring keeps for the VM.',
      examples: ['/srv/tpm/web'],
    }),
  })
  .refine(({ socket, state }) => socket === undefined || state === undefined, {
    path: ['state'],
    error: 'a running swtpm already has a state folder: leave state out',
  });

export type Tpm = z.output<typeof tpm>;

export function tpmOptions({ socket, state }: Tpm): TpmOptions {
  if (socket !== undefined) return { type: 'socket', path: socket };
  return { type: 'emulator', ...(state !== undefined && { state }) };
}
