/** [start, end) of the addresses that devices may use. */
export type IovaRange = { readonly start: number; readonly end: number };

export type DmaMapping = {
  /** The address that devices use: the guest-physical one. */
  readonly iova: number;
  /** Bytes; a multiple of a page, like the address. */
  readonly size: number;
  /** The address of the memory in this process. */
  readonly host: bigint;
  readonly writable: boolean;
};

/** The IOMMU addresses that a machine's devices share. */
export interface DmaDomain {
  /**
   * The ranges that can be mapped for all of its devices, ascending: without those that the platform reserves, such as
   * that of MSI messages.
   */
  ranges(): readonly IovaRange[];
  /** Pins memory, and makes it accessible. Nothing else may be mapped there. @throws SystemError */
  map(mapping: DmaMapping): void;
  /** Unmaps all mappings in a range, none of which may be partly outside it. */
  unmap(iova: number, size: number): void;
}

/** Larger numbers are not exact. Guest-physical addresses end at 2^52. */
const LAST_EXACT = BigInt(Number.MAX_SAFE_INTEGER);

/** @param last the last byte */
export function iovaRange(start: bigint, last: bigint): IovaRange {
  const clamp = (address: bigint) => Number(address < LAST_EXACT ? address : LAST_EXACT);
  return { start: clamp(start), end: last < LAST_EXACT ? Number(last) + 1 : Number.MAX_SAFE_INTEGER };
}
