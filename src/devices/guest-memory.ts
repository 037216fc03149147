/** Guest RAM as a device model sees it. Every access is checked against the RAM's real extent. */
export interface GuestMemory {
  /** Guest-physical ranges backed by RAM, ascending, not overlapping. */
  readonly regions: readonly MemoryRegion[];
  /** Whether all of [address, address + length) is RAM in one region. */
  contains(address: number, length: number): boolean;
  /** A live view of [address, address + length). @throws GuestMemoryError unless all of it is RAM of one region. */
  bytes(address: number, length: number): Uint8Array;
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
