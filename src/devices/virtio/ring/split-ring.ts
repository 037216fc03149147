import type { GuestMemory } from '../../guest-memory.ts';
import { FEATURE } from '../features.ts';
import type { QueueProgress, VirtioQueue } from '../virtio-device.ts';
import {
  Chain,
  DESCRIPTOR,
  DESCRIPTOR_BYTES,
  type Descriptor,
  fence,
  indirectTable,
  nestedIndirect,
  RingError,
  splitDescriptor,
} from './chain.ts';
import type { Ring } from './ring.ts';

/** Offsets in both rings. */
const INDEX = 2;
const ENTRIES = 4;
const USED_ENTRY_BYTES = 8;
/** In the available ring's flags: the driver needs no interrupts. */
const NO_INTERRUPT = 1;

/** A split virtqueue (virtio 1.3 §2.7). */
export class SplitRing implements Ring {
  readonly #memory: GuestMemory;
  readonly #queue: VirtioQueue;
  readonly #indirect: boolean;
  readonly #eventIdx: boolean;
  #lastAvail: number;
  #usedIndex: number;
  /** The used index as last published, and as of when an interrupt was last considered: null initially. */
  #published: number;
  #considered: number | null = null;

  constructor(memory: GuestMemory, queue: VirtioQueue, features: bigint) {
    this.#memory = memory;
    this.#queue = queue;
    this.#indirect = (features & FEATURE.ringIndirectDesc) !== 0n;
    this.#eventIdx = (features & FEATURE.ringEventIdx) !== 0n;
    this.#lastAvail = queue.progress.lastAvail;
    this.#usedIndex = queue.progress.usedIndex;
    this.#published = this.#usedIndex;
  }

  get progress(): QueueProgress {
    return { lastAvail: this.#lastAvail, usedIndex: this.#usedIndex };
  }

  take(): Chain | null {
    const { size, available } = this.#queue;
    const waiting = (this.#memory.readU16(available + INDEX) - this.#lastAvail) & 0xffff;
    if (waiting === 0) return null;
    if (waiting > size) throw new RingError(`offered ${waiting} chains in a queue of ${size}`);
    const head = this.#memory.readU16(available + ENTRIES + 2 * (this.#lastAvail % size));
    const chain = this.#walk(head);
    this.#lastAvail = (this.#lastAvail + 1) & 0xffff;
    return chain;
  }

  retake({ unfinished = [] }: QueueProgress): Chain[] {
    return unfinished.map(head => this.#walk(head));
  }

  giveBack({ id }: Chain, length: number): void {
    const { size, used } = this.#queue;
    const at = used + ENTRIES + USED_ENTRY_BYTES * (this.#usedIndex % size);
    this.#memory.writeU32(at, id);
    this.#memory.writeU32(at + 4, length);
    this.#usedIndex = (this.#usedIndex + 1) & 0xffff;
  }

  publish(): boolean {
    if (this.#published === this.#usedIndex) return false;
    this.#published = this.#usedIndex;
    fence();
    this.#memory.writeU16(this.#queue.used + INDEX, this.#published);
    return true;
  }

  /** §2.7.7.2, §2.7.10. */
  wantsInterrupt(): boolean {
    // The driver writes its event index or flag and then reads the used index; this is the other half.
    fence();
    const { size, available } = this.#queue;
    const before = this.#considered;
    this.#considered = this.#published;
    if (!this.#eventIdx) return (this.#memory.readU16(available) & NO_INTERRUPT) === 0;
    if (before === null) return true;
    const event = this.#memory.readU16(available + ENTRIES + 2 * size);
    return ((this.#published - event - 1) & 0xffff) < ((this.#published - before) & 0xffff);
  }

  enableKicks(): boolean {
    const { size, available, used } = this.#queue;
    // Without event indices kicks stay enabled.
    if (this.#eventIdx) this.#memory.writeU16(used + ENTRIES + USED_ENTRY_BYTES * size, this.#lastAvail);
    // The driver writes the available index and then reads this.
    fence();
    return this.#memory.readU16(available + INDEX) !== this.#lastAvail;
  }

  unfinished(chains: Iterable<Chain>) {
    const heads = Array.from(chains, ({ id }) => id);
    return heads.length === 0 ? {} : { unfinished: heads };
  }

  #walk(head: number): Chain {
    const { size, descriptors } = this.#queue;
    if (head >= size) throw new RingError(`offered descriptor ${head} of ${size}`);
    const chain = new Chain(this.#memory);
    chain.id = head;
    const indirect = this.#walkTable(chain, descriptors, size, head);
    if (indirect === null) return chain;
    const table = indirectTable(this.#memory, indirect, this.#indirect);
    if (this.#walkTable(chain, table.address, table.entries, 0) !== null) throw nestedIndirect();
    return chain;
  }

  /** Collects the buffers of a chain in one table. @returns the indirect descriptor at its end, if any */
  #walkTable(chain: Chain, table: number, entries: number, first: number): Descriptor | null {
    let index = first;
    for (let seen = 0; seen < entries; seen++) {
      if (index >= entries) throw new RingError(`linked to descriptor ${index} of ${entries}`);
      const descriptor = splitDescriptor(this.#memory, table + DESCRIPTOR_BYTES * index);
      if (descriptor.flags & DESCRIPTOR.indirect) return descriptor;
      chain.add(descriptor);
      if (!(descriptor.flags & DESCRIPTOR.next)) return null;
      index = descriptor.other;
    }
    throw new RingError(`made a loop of descriptors, starting at ${first}`);
  }
}
