/** Guest RAM as a device model sees it. Every access is checked against what is RAM at that moment. */
export interface GuestMemory {
  /** Guest-physical ranges backed by RAM, ascending, not overlapping. */
  readonly regions: readonly MemoryRegion[];
  /** Whether all of [address, address + length) is memory that can be read, or written, in one region. */
  contains(address: number, length: number, access?: 'read' | 'write'): boolean;
  /**
   * A live view of [address, address + length), to read from. @throws GuestMemoryError unless all of it is memory of
   * one region.
   */
  readable(address: number, length: number): Uint8Array;
  /**
   * A live view of [address, address + length), to write to until the machine thread's next event: its pages count as
   * written from now on, so a later write needs another call. @throws GuestMemoryError unless all of it is writable
   * memory of one region.
   */
  writable(address: number, length: number): Uint8Array;
  readU16(address: number): number;
  readU32(address: number): number;
  readU64(address: number): bigint;
  writeU16(address: number, value: number): void;
  writeU32(address: number, value: number): void;
  writeU64(address: number, value: bigint): void;
}

export type MemoryRegion = {
  /** Guest-physical start, bytes. */
  readonly address: number;
  /** Bytes. */
  readonly size: number;
  /** Where the region is mapped in this process. */
  readonly host: bigint;
};

/** A guest-supplied address or length outside RAM. */
export class GuestMemoryError extends Error {
  override readonly name = 'GuestMemoryError';
  readonly address: number | bigint;
  readonly length: number;

  constructor(address: number | bigint, length: number) {
    super(`guest address 0x${address.toString(16)} with ${length} bytes is not in guest RAM`);
    this.address = address;
    this.length = length;
  }
}
