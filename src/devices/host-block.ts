/** The page size of guests, in bytes: everything that a guest reaches without an exit is a multiple of it. */
export const PAGE = 4096;

/** A range of bytes within a block, or within a region of a device. */
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

/** Memory of this process that can be mapped for a guest. */
export type HostBlock = {
  /** Unique among the blocks of a machine: `ram-low`, `video-memory`. */
  readonly name: string;
  /** Bytes; a multiple of a page. */
  readonly size: number;
  /** Where it is mapped in this process. */
  readonly host: bigint;
  /** The memfd with its contents; null if the memory is a private mapping. */
  readonly fd: number | null;
  /** Where the block starts in that file. */
  readonly offset: number;
  /** All of it. That of guest RAM is created on first use. */
  readonly buffer: ArrayBuffer;
  /** The first bytes, for a block whose `buffer` should not be created before it is needed. */
  readonly head?: ArrayBuffer;
  /**
   * How its pages are returned to the host (madvise(2)): `remove` for those of a file, `dontneed` for private ones.
   * Default: they are not.
   */
  readonly discard?: 'remove' | 'dontneed';
  /**
   * The block is registers of a host device, not memory: device models and queue threads do not reach them, and the
   * kernel may unmap the pages while the device is reset. Default: false.
   */
  readonly registers?: boolean;
};
