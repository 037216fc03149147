import { type GuestMemory, GuestMemoryError } from '../guest-memory.ts';
import { FEATURE } from './features.ts';
import type { QueueProgress, VirtioQueue } from './virtio-device.ts';

/** A range of guest memory, verified to be RAM. */
export type Segment = { readonly address: number; readonly length: number };

/** A buffer that the driver made available: its readable parts, then its writable parts. */
export type Chain = {
  readonly head: number;
  readonly readable: readonly Segment[];
  readonly writable: readonly Segment[];
};

/** The driver violated the ring protocol (virtio 1.3 §2.7); the message says how. */
export class QueueError extends Error {
  override readonly name = 'QueueError';
}

/** Descriptor: address (8 bytes), length (4), flags (2), next (2). §2.7.5 */
const DESCRIPTOR_BYTES = 16;
const NEXT = 0x1;
const WRITE = 0x2;
const INDIRECT = 0x4;

/** Offsets in the avail and used rings. §2.7.6, §2.7.8 */
const FLAGS = 0;
const INDEX = 2;
const RING = 4;
const NO_INTERRUPT = 0x1;
const USED_ELEMENT_BYTES = 8;

/** More descriptors than any driver chains; bounds the time for one chain. */
const MAX_CHAIN = 1024;
/** A chain must not hold more bytes than this. §2.7.5.1 */
const MAX_BYTES = 2 ** 32;

/** An atomic access to this is a full memory barrier, for the two places that need a store before a load. */
const fence = new Int32Array(new SharedArrayBuffer(4));

/**
 * The device's side of a split virtqueue, for devices that serve their queue on the machine thread. Everything read from
 * the guest is checked; a protocol violation throws QueueError, after which the queue must not be used.
 */
export class SplitQueue {
  readonly #memory: GuestMemory;
  readonly #queue: VirtioQueue;
  readonly #signal: (fd: number) => void;
  readonly #eventIdx: boolean;
  readonly #indirect: boolean;
  #lastAvail: number;
  #usedIndex: number;
  #kickWanted = true;
  /** Used index at the last interrupt decision, or null if the driver's event index may be stale. */
  #decidedAt: number | null = null;

  constructor(memory: GuestMemory, queue: VirtioQueue, features: bigint, signal: (fd: number) => void) {
    this.#memory = memory;
    this.#queue = queue;
    this.#signal = signal;
    this.#eventIdx = (features & FEATURE.ringEventIdx) !== 0n;
    this.#indirect = (features & FEATURE.ringIndirectDesc) !== 0n;
    this.#lastAvail = queue.progress.lastAvail;
    this.#usedIndex = queue.progress.usedIndex;
  }

  get progress(): QueueProgress {
    return { lastAvail: this.#lastAvail, usedIndex: this.#usedIndex };
  }

  /** Whether the driver was asked to kick for the buffers now available. */
  get kickWanted(): boolean {
    return this.#kickWanted;
  }

  /** The next available chain, or null. @throws QueueError */
  pop(): Chain | null {
    return this.#checked(() => {
      const { available, size } = this.#queue;
      const waiting = (this.#memory.readU16(available + INDEX) - this.#lastAvail) & 0xffff;
      if (waiting === 0) return null;
      if (waiting > size) throw new QueueError(`${waiting} buffers available in a queue of ${size}`);
      const head = this.#memory.readU16(available + RING + 2 * (this.#lastAvail % size));
      const chain = this.#walk(head);
      this.#lastAvail = (this.#lastAvail + 1) & 0xffff;
      return chain;
    });
  }

  /** Returns a chain in which the device wrote the first `written` bytes. @throws QueueError */
  push(chain: Chain, written: number): void {
    this.#checked(() => {
      const { used, size } = this.#queue;
      const element = used + RING + USED_ELEMENT_BYTES * (this.#usedIndex % size);
      this.#memory.writeU32(element, chain.head);
      this.#memory.writeU32(element + 4, written);
      this.#usedIndex = (this.#usedIndex + 1) & 0xffff;
      this.#memory.writeU16(used + INDEX, this.#usedIndex);
    });
  }

  /** Interrupts the driver if it asked for that. @returns whether it did. @throws QueueError */
  interrupt(): boolean {
    const wanted = this.#checked(() => this.#interruptWanted());
    if (wanted) this.#signal(this.#queue.callFd);
    return wanted;
  }

  /**
   * Asks the driver for a kick at the next buffer.
   * @returns whether one has already arrived, for which there may be no kick. @throws QueueError
   */
  rearm(): boolean {
    return this.#checked(() => {
      const { available, used, size } = this.#queue;
      if (this.#eventIdx) {
        this.#memory.writeU16(used + RING + USED_ELEMENT_BYTES * size, this.#lastAvail);
        Atomics.add(fence, 0, 0);
      }
      const more = this.#memory.readU16(available + INDEX) !== this.#lastAvail;
      // With EVENT_IDX, an index that was already passed when written requests nothing.
      this.#kickWanted = !(this.#eventIdx && more);
      return more;
    });
  }

  /** §2.7.7, §2.7.10: the flag, or whether the used index has passed the driver's event index. */
  #interruptWanted(): boolean {
    const { available, size } = this.#queue;
    Atomics.add(fence, 0, 0);
    if (!this.#eventIdx) return (this.#memory.readU16(available + FLAGS) & NO_INTERRUPT) === 0;
    const before = this.#decidedAt;
    this.#decidedAt = this.#usedIndex;
    if (before === null) return true;
    const event = this.#memory.readU16(available + RING + 2 * size);
    const sinceEvent = (this.#usedIndex - event - 1) & 0xffff;
    return sinceEvent < ((this.#usedIndex - before) & 0xffff);
  }

  #walk(head: number): Chain {
    const { descriptors, size } = this.#queue;
    const builder = new ChainBuilder(this.#memory, head);
    let table = descriptors;
    let entries = size;
    let index = head;
    for (let count = 1; ; count++) {
      if (index >= entries) throw new QueueError(`descriptor ${index} in a table of ${entries}`);
      if (count > entries || count > MAX_CHAIN)
        throw new QueueError(`chain from ${head} loops or is too long`);
      const descriptor = table + DESCRIPTOR_BYTES * index;
      const length = this.#memory.readU32(descriptor + 8);
      const flags = this.#memory.readU16(descriptor + 12);
      const address = this.#readAddress(descriptor);
      if (flags & INDIRECT) {
        if (table !== descriptors) throw new QueueError('indirect table inside an indirect table');
        this.#checkIndirect(address, length, flags);
        table = address;
        entries = length / DESCRIPTOR_BYTES;
        index = 0;
        count = 0;
        continue;
      }
      builder.add(address, length, (flags & WRITE) !== 0);
      if ((flags & NEXT) === 0) return builder;
      index = this.#memory.readU16(descriptor + 14);
    }
  }

  #checkIndirect(address: number, length: number, flags: number): void {
    if (!this.#indirect) throw new QueueError('indirect descriptor, which was not negotiated');
    if (flags & NEXT) throw new QueueError('indirect descriptor with NEXT set');
    if (length === 0 || length % DESCRIPTOR_BYTES !== 0) {
      throw new QueueError(`indirect table of ${length} bytes, not a multiple of ${DESCRIPTOR_BYTES}`);
    }
    if (!this.#memory.contains(address, length)) {
      throw new QueueError(`indirect table at 0x${address.toString(16)} is not in RAM`);
    }
  }

  /** Exact up to 2^53; anything above is outside RAM. */
  #readAddress(at: number): number {
    return this.#memory.readU32(at + 4) * 2 ** 32 + this.#memory.readU32(at);
  }

  #checked<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (error instanceof GuestMemoryError) throw new QueueError(error.message);
      throw error;
    }
  }
}

/** Collects the segments of a chain. */
class ChainBuilder implements Chain {
  readonly head: number;
  readonly readable: Segment[] = [];
  readonly writable: Segment[] = [];
  readonly #memory: GuestMemory;
  #bytes = 0;

  constructor(memory: GuestMemory, head: number) {
    this.#memory = memory;
    this.head = head;
  }

  add(address: number, length: number, writable: boolean): void {
    if (length === 0) return;
    if (!this.#memory.contains(address, length, writable ? 'write' : 'read')) {
      throw new QueueError(`buffer of ${length} bytes at 0x${address.toString(16)} is not in RAM`);
    }
    this.#bytes += length;
    if (this.#bytes > MAX_BYTES) throw new QueueError('chain of more than 4 GiB');
    if (writable) this.writable.push({ address, length });
    else if (this.writable.length > 0) throw new QueueError('readable buffer after a writable one');
    else this.readable.push({ address, length });
  }
}
