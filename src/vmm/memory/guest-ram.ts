import { type GuestMemory, GuestMemoryError } from '../../devices/guest-memory.ts';
import * as libc from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { clearBlock, mapBlocks, type RamBlock, type RamOptions, type RamSource } from './ram-blocks.ts';

/**
 * Guest RAM: blocks that are contiguous in one memfd; or private memory, if it is mergeable or comes from a file. The host
 * allocates memory as the guest touches it (huge pages are reserved at once). The views stay valid until the owner unmaps.
 */
export class GuestRam implements GuestMemory {
  readonly blocks: readonly RamBlock[];
  /** Bytes of all blocks. */
  readonly size: number;
  readonly #options: RamOptions;
  readonly #mapped: readonly MappedBlock[];

  /** @throws RamError */
  constructor(owner: ResourceOwner, options: RamOptions, source: RamSource = { kind: 'new' }) {
    this.#options = options;
    this.size = options.bytes;
    this.blocks = mapBlocks(owner, options, source);
    this.#mapped = this.blocks.map(block => new MappedBlock(block));
  }

  get regions(): readonly RamBlock[] {
    return this.blocks;
  }

  /** Makes all RAM read as zero, and returns it to the host. vCPUs and queue threads must be stopped. */
  clear(): void {
    for (const block of this.blocks) clearBlock(block, this.#options);
  }

  contains(address: number, length: number): boolean {
    return this.#find(address, length) !== null;
  }

  readable(address: number, length: number): Uint8Array {
    const block = this.#at(address, length);
    return new Uint8Array(block.buffer, address - block.start, length);
  }

  writable(address: number, length: number): Uint8Array {
    return this.readable(address, length);
  }

  readU16(address: number): number {
    const block = this.#at(address, 2);
    return block.data.getUint16(address - block.start, true);
  }

  readU32(address: number): number {
    const block = this.#at(address, 4);
    return block.data.getUint32(address - block.start, true);
  }

  readU64(address: number): bigint {
    const block = this.#at(address, 8);
    return block.data.getBigUint64(address - block.start, true);
  }

  writeU16(address: number, value: number): void {
    const block = this.#at(address, 2);
    block.data.setUint16(address - block.start, value, true);
  }

  writeU32(address: number, value: number): void {
    const block = this.#at(address, 4);
    block.data.setUint32(address - block.start, value, true);
  }

  writeU64(address: number, value: bigint): void {
    const block = this.#at(address, 8);
    block.data.setBigUint64(address - block.start, value, true);
  }

  #at(address: number, length: number): MappedBlock {
    const block = this.#find(address, length);
    if (block === null) throw new GuestMemoryError(address, length);
    return block;
  }

  /** NaN, fractions and numbers beyond 2^53 are in no block. */
  #find(address: number, length: number): MappedBlock | null {
    if (!Number.isSafeInteger(address) || !Number.isSafeInteger(length) || length < 0) return null;
    for (const block of this.#mapped) {
      // `end - length` cannot overflow, as `address + length` could.
      if (address >= block.start && address <= block.end - length) return block;
    }
    return null;
  }
}

/** One block and its views, created once. */
class MappedBlock {
  readonly start: number;
  readonly end: number;
  readonly buffer: ArrayBuffer;
  readonly data: DataView;

  constructor({ address, size, host }: RamBlock) {
    this.start = address;
    this.end = address + size;
    this.buffer = libc.viewOf(host, size);
    this.data = new DataView(this.buffer);
  }
}
