import type { BackendKind } from '../../devices/backends/backend-type.ts';
import type { Backends, BackendsByKind } from '../../devices/backends/backends.ts';
import type { CharBackend, CharRequest } from '../../devices/backends/char.ts';
import type { DiskOptions } from '../../devices/backends/disk.ts';
import type { NetBackend, NetRequest } from '../../devices/backends/net.ts';
import type { TpmBackend, TpmRequest } from '../../devices/backends/tpm.ts';
import type { BlockBackend } from '../../devices/virtio/block-backend.ts';

type Opener<Kind extends BackendKind> = (
  options: BackendsByKind[Kind]['options'],
) => BackendsByKind[Kind]['opened'];

/** The opener for each type of back end. */
export type BackendOpeners = {
  readonly disk: (options: DiskOptions) => BlockBackend;
  /** For all types: what is already open is a wire. */
  readonly net: (request: NetRequest) => NetBackend;
  readonly char: (request: CharRequest) => CharBackend;
  readonly tpm: (request: TpmRequest) => TpmBackend;
};

/** The back ends of one machine. */
export function machineBackends(openers: BackendOpeners): Backends {
  const open: { readonly [Kind in BackendKind]: Opener<Kind> } = {
    disk: openers.disk,
    net: openers.net,
    char: openers.char,
    tpm: openers.tpm,
  };
  return { open: (kind, options) => open[kind](options) };
}
