import type { DiskDone, DiskPort } from '../../backends/disk-port.ts';

/** What a namespace reports about itself. */
export type NamespaceIdentity = {
  /** Bytes of a logical block. */
  readonly block: number;
  /** Identifiers of 16, 16 and 8 bytes; zeros if there is none. */
  readonly uuid: Uint8Array;
  readonly nguid: Uint8Array;
  readonly eui64: Uint8Array;
};

/** A namespace as its controller sees it: a disk, independent of the queues that its commands are in. */
export interface NvmeNamespace {
  readonly identity: NamespaceIdentity;
  /** Bytes of a physical block. */
  readonly physicalBlock: number;
  /** In logical blocks. */
  readonly blocks: number;
  readonly isReadOnly: boolean;
  readonly canDiscard: boolean;
  /** Null if its device is closed. */
  readonly port: DiskPort | null;
  /** Called when it has another size. */
  onResized: (() => void) | null;
  /** Sets whether writes may complete before they are durable. */
  setWriteCache(on: boolean): void;
  /** Makes durable what completed writes have written. */
  flush(done: DiskDone): void;
  /** Drops all requests. @param ended called once none of them reaches disk or memory any more */
  cancel(ended: () => void): void;
  /** Its controller has lost it: flushes fail, as others may be waiting for them. */
  drop(): void;
}
