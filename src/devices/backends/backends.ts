import type { BlockBackend } from '../virtio/block-backend.ts';
import type { BackendKind, BackendType } from './backend-type.ts';
import { type CharBackend, type CharRequest, charBackends } from './char.ts';
import { type DiskOptions, diskBackends } from './disk.ts';
import { type NetBackend, type NetRequest, netBackends } from './net.ts';
import { type TpmBackend, type TpmRequest, tpmBackends } from './tpm.ts';

/** The options of each kind of back end, and what opening it returns. */
export type BackendsByKind = {
  readonly disk: { readonly options: DiskOptions; readonly opened: BlockBackend };
  readonly net: { readonly options: NetRequest; readonly opened: NetBackend };
  readonly char: { readonly options: CharRequest; readonly opened: CharBackend };
  readonly tpm: { readonly options: TpmRequest; readonly opened: TpmBackend };
};

/** The host's side of a machine's devices. */
export interface Backends {
  /** @throws an error for the user */
  open<Kind extends BackendKind>(
    kind: Kind,
    options: BackendsByKind[Kind]['options'],
  ): BackendsByKind[Kind]['opened'];
}

/** Every type of back end, as `vring devices` lists them. */
export const backendTable: readonly BackendType[] = [
  ...diskBackends,
  ...netBackends,
  ...charBackends,
  ...tpmBackends,
];
