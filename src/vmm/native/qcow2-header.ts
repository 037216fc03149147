import { checked, nativeCalls } from './native-library.ts';

/** The header of a qcow2 image. Sizes in bytes. */
export type Qcow2Header = {
  readonly version: number;
  /** Of the disk in it: a decimal number, which may exceed a JavaScript number's precision. */
  readonly size: string;
  readonly clusterSize: number;
  readonly refcountBits: number;
  readonly compression: 'zlib' | 'zstd';
  readonly backingFile: string | null;
  readonly backingFormat: string | null;
  readonly dirty: boolean;
  readonly corrupt: boolean;
  readonly lazyRefcounts: boolean;
  readonly encrypted: boolean;
  readonly extendedL2: boolean;
  readonly dataFile: boolean;
  /** Why it cannot be opened for reading, or for writing, as a clause; null if it can. */
  readonly refusedReadonly: string | null;
  readonly refused: string | null;
  readonly snapshots: readonly {
    readonly id: string;
    readonly name: string;
    /** Since 1970. */
    readonly seconds: number;
    readonly vmStateBytes: number;
  }[];
};

const ROOM = 16_384;

/** Reads the header of a qcow2 image in an open file. `error`: why it is not one, as a clause. @throws SystemError */
export function inspectQcow2(fd: number): Qcow2Header | { readonly error: string } {
  const read = (room: number): string | number => {
    const text = new Uint8Array(room);
    const length = checked('vring_qcow2_inspect', nativeCalls().vring_qcow2_inspect(fd, text, room));
    return length > room ? length : new TextDecoder().decode(text.subarray(0, length));
  };
  const first = read(ROOM);
  const json = typeof first === 'number' ? read(first) : first;
  if (typeof json === 'number') return { error: 'it is being changed' };
  return JSON.parse(json) as Qcow2Header | { readonly error: string };
}
