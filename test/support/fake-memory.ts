import { type GuestMemory, GuestMemoryError, type MemoryRegion } from '../../src/devices/guest-memory.ts';

/** Guest RAM for tests: one region that starts at `address`, in a plain buffer. */
export class FakeMemory implements GuestMemory {
  readonly regions: readonly MemoryRegion[];
  readonly #address: number;
  readonly #view: DataView;

  constructor(size: number, address = 0) {
    this.#address = address;
    this.#view = new DataView(new ArrayBuffer(size));
    this.regions = [{ address, size, host: 0n }];
  }

  contains(address: number, length: number): boolean {
    return address >= this.#address && address + length <= this.#address + this.#view.byteLength;
  }

  readable(address: number, length: number): Uint8Array {
    return new Uint8Array(this.#view.buffer, this.#at(address, length), length);
  }

  writable(address: number, length: number): Uint8Array {
    return this.readable(address, length);
  }

  readU16(address: number): number {
    return this.#view.getUint16(this.#at(address, 2), true);
  }

  readU32(address: number): number {
    return this.#view.getUint32(this.#at(address, 4), true);
  }

  readU64(address: number): bigint {
    return this.#view.getBigUint64(this.#at(address, 8), true);
  }

  writeU16(address: number, value: number): void {
    this.#view.setUint16(this.#at(address, 2), value, true);
  }

  writeU32(address: number, value: number): void {
    this.#view.setUint32(this.#at(address, 4), value, true);
  }

  writeU64(address: number, value: bigint): void {
    this.#view.setBigUint64(this.#at(address, 8), value, true);
  }

  #at(address: number, length: number): number {
    if (!this.contains(address, length)) throw new GuestMemoryError(address, length);
    return address - this.#address;
  }
}
