/** Guest pages, in bytes: everything that a guest reaches without an exit is a multiple of it. */
export const PAGE = 4096;

/** Some bytes of a block, or of a region of a device. */
export type Part = { readonly offset: number; readonly size: number };

/** `parts` without the pages that [offset, offset + size) touches. */
export function withoutPages(parts: readonly Part[], { offset, size }: Part): Part[] {
  const start = Math.floor(offset / PAGE) * PAGE;
  const end = Math.ceil((offset + size) / PAGE) * PAGE;
  return parts.flatMap(part => {
    const partEnd = part.offset + part.size;
    return [
      { offset: part.offset, size: Math.min(partEnd, start) - part.offset },
      { offset: Math.max(part.offset, end), size: partEnd - Math.max(part.offset, end) },
    ].filter(({ size }) => size > 0);
  });
}

/** Memory of this process that a guest can be shown. */
export type HostBlock = {
  /** Unique among the blocks of a machine: `ram-low`, `video-memory`. */
  readonly name: string;
  /** Bytes; a multiple of a page. */
  readonly size: number;
  /** Where it is mapped in this process. */
  readonly host: bigint;
  /** The memfd that has its contents; null if only the mapping has them, which is then private. */
  readonly fd: number | null;
  /** Where the block starts in that file. */
  readonly offset: number;
  /** All of it. Guest RAM's is made when it is used first. */
  readonly buffer: ArrayBuffer;
  /** The first bytes of it, for a block whose `buffer` is better not made before it is needed. */
  readonly head?: ArrayBuffer;
  /**
   * How pages of it go back to the host (madvise(2)): `remove` for those of a file, `dontneed` for private ones. Absent: they do not.
   */
  readonly discard?: 'remove' | 'dontneed';
  /**
   * These are registers of a host device, not memory: device models and queue threads do not reach them, and the kernel may take the
   * pages away while the device is reset. Absent: false.
   */
  readonly registers?: boolean;
};
