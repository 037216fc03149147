/**
 * The counters of one VM: a block of shared memory of unsigned 64-bit words. Native threads and the machine thread
 * add to it; the sampler, in the manager, reads it without a system call or a message. The layouts of the
 * blocks that native threads write are native/'s. Every word has one writer.
 */

import { COUNTERS_HEADER, QUEUE, VCPU, VCPU_STATE } from '../native/abi.ts';

export { QUEUE, VCPU, VCPU_STATE };

const WORD = 8;

/** Words before the first vCPU block. */
export const HEADER_WORDS = COUNTERS_HEADER.words;
/**
 * Offsets of these words: the numbers of blocks, and how often a queue or region block has been assigned or released.
 */
export const HEADER = { magic: 0, vcpus: 1, queues: 2, regions: 3, changes: 4 } as const;
const COUNTERS_MAGIC = 0x31_54_4e_43_47_4e_52_56n; // "VRNGCNT1", little endian

/**
 * Word offsets in a region block: one range of ports or memory that a device model answers. `id` is that of the range,
 * 0 in a free block.
 */
export const REGION = { reads: 0, writes: 1, ns: 2, id: 3, words: 8 } as const;

/**
 * Word offsets in an entry of the address table: one exact address within one region. `key` is an `addressKey`, 0 in a
 * free entry, `FORGOTTEN` if the region was released. `ns` is the time from an exit to its answer.
 */
export const ADDRESS = { key: 0, reads: 1, writes: 2, ns: 3, words: 4 } as const;

/** A power of two. One more entry, after the table and without a key, counts what did not fit. */
export const ADDRESS_ENTRIES = 1024;

/** An address of a machine has at most this many bits; the rest of the key is the region. */
export const ADDRESS_BITS = 52;

/** Word offsets in a statistic: a named number that a device counts. `id` is that of its owner, 0 if it is free. */
export const STATISTIC = { value: 0, id: 1, words: 2 } as const;

/** Most statistics that all devices of a machine have together. */
export const MAX_STATISTICS = 256;

/** Key of an entry that counts nothing, but must not end the search for later ones. */
export const FORGOTTEN = (1n << 64n) - 1n;
/** Regions that fit in a key, excluding that of `FORGOTTEN`. */
export const MAX_KEYED_REGIONS = 2 ** (64 - ADDRESS_BITS) - 2;

/** The key of a guest address in region `region` of the topology. It is never 0. */
export function addressKey(region: number, address: number): bigint {
  return (BigInt(region + 1) << BigInt(ADDRESS_BITS)) | BigInt(address);
}

/** The region and address of a key; null for an entry without one. */
export function parseAddressKey(key: bigint): { readonly region: number; readonly address: number } | null {
  if (key === 0n || key === FORGOTTEN) return null;
  const address = Number(BigInt.asUintN(ADDRESS_BITS, key));
  return { region: Number(key >> BigInt(ADDRESS_BITS)) - 1, address };
}

export type CounterShape = { readonly vcpus: number; readonly queues: number; readonly regions: number };

/** Word indices of the blocks of one VM. */
export class CounterLayout {
  readonly shape: CounterShape;

  constructor(shape: CounterShape) {
    this.shape = shape;
  }

  get words(): number {
    return this.statistic(MAX_STATISTICS);
  }

  get bytes(): number {
    return this.words * WORD;
  }

  vcpu(index: number): number {
    return HEADER_WORDS + index * VCPU.words;
  }

  queue(slot: number): number {
    return this.vcpu(this.shape.vcpus) + slot * QUEUE.words;
  }

  region(index: number): number {
    return this.queue(this.shape.queues) + index * REGION.words;
  }

  /** Entry `entry` of the address table. */
  address(entry: number): number {
    return this.region(this.shape.regions) + entry * ADDRESS.words;
  }

  /** The entry that counts the addresses that did not fit in the table. */
  get otherAddresses(): number {
    return this.address(ADDRESS_ENTRIES);
  }

  statistic(index: number): number {
    return this.otherAddresses + ADDRESS.words + index * STATISTIC.words;
  }
}

/** The counters of one run of a VM, and where its blocks are. */
export type CounterBlock = { readonly words: BigUint64Array; readonly layout: CounterLayout };

/** Writes the header of a zeroed block. */
export function writeHeader(words: BigUint64Array, { vcpus, queues, regions }: CounterShape): void {
  words[HEADER.magic] = COUNTERS_MAGIC;
  words[HEADER.vcpus] = BigInt(vcpus);
  words[HEADER.queues] = BigInt(queues);
  words[HEADER.regions] = BigInt(regions);
}

/** The shape of the block that starts with `words`, from its header. */
export function shapeOf(words: BigUint64Array): CounterShape {
  return {
    vcpus: Number(words[HEADER.vcpus]),
    queues: Number(words[HEADER.queues]),
    regions: Number(words[HEADER.regions]),
  };
}

const halves = new Uint32Array(2);
const whole = new BigUint64Array(halves.buffer);

/**
 * Adds a number from 0 to 2^53, truncated, to a 64-bit word. Works on two 32-bit halves because BigInt(number)
 * allocates, which costs several times as much as the rest of counting an access.
 */
export function addCount(words: BigUint64Array, word: number, amount: number): void {
  halves[0] = amount;
  halves[1] = amount / 2 ** 32;
  words[word]! += whole[0]!;
}
