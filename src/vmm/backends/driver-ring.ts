import type { Segment } from '../../devices/backends/disk-port.ts';
import type { VirtioQueue } from '../../devices/virtio/virtio-device.ts';
import { OWN_MEMORY } from '../native/queue-threads.ts';

/** Bytes of a descriptor, and its flags (virtio 1.3 §2.7.5). */
export const DESCRIPTOR_BYTES = 16;
export const DESCRIPTOR = { next: 1, write: 2, indirect: 4 } as const;
/** In the flags of the avail ring: no interrupts. In those of the used ring: no kicks. */
const SUPPRESSED = 1;

/** Offsets of the parts of a split ring in separate memory, descriptors first, and of its end: a multiple of 4096. */
export function ringParts(size: number) {
  const available = size * DESCRIPTOR_BYTES;
  const used = roundUp(available + 6 + 2 * size, 1024);
  return { available, used, end: roundUp(used + 6 + 8 * size, 4096) };
}

const roundUp = (bytes: number, unit: number) => Math.ceil(bytes / unit) * unit;

/**
 * The driver's side of a split virtqueue (virtio 1.3 §2.7) in memory shared with the thread that serves the queue,
 * where it is at `OWN_MEMORY`. The caller keeps track of free descriptors. Indexes count modulo 2^16.
 */
export class DriverRing {
  readonly #size: number;
  readonly #available: number;
  readonly #used: number;
  readonly #end: number;
  readonly #bytes: Uint8Array;
  readonly #halves: Uint16Array;
  readonly #words: Uint32Array;

  /** @param size a power of two. @param memory begins with the ring */
  constructor(memory: ArrayBuffer, size: number) {
    const { available, used, end } = ringParts(size);
    this.#size = size;
    this.#available = available;
    this.#used = used;
    this.#end = end;
    this.#bytes = new Uint8Array(memory);
    this.#halves = new Uint16Array(memory);
    this.#words = new Uint32Array(memory);
  }

  /** The addresses of its parts for the thread. */
  get place(): Pick<VirtioQueue, 'size' | 'descriptors' | 'available' | 'used'> {
    return {
      size: this.#size,
      descriptors: OWN_MEMORY,
      available: OWN_MEMORY + this.#available,
      used: OWN_MEMORY + this.#used,
    };
  }

  /** Resets the ring for a thread that has not started. */
  clear(): void {
    this.#bytes.fill(0, this.#available, this.#end);
  }

  /**
   * Writes a descriptor.
   * @param at its offset in the memory: in the ring, or in a table @param flags of `DESCRIPTOR`
   */
  describe(at: number, { address, length }: Segment, flags: number, next: number): void {
    const word = at / 4;
    this.#words[word] = address;
    this.#words[word + 1] = address / 2 ** 32;
    this.#words[word + 2] = length;
    this.#words[word + 3] = flags | (next << 16);
  }

  /**
   * Puts a chain into a slot of the avail ring; the thread sees it after `publish`.
   * @param head its first descriptor
   */
  stage(index: number, head: number): void {
    this.#halves[this.#available / 2 + 2 + (index % this.#size)] = head;
  }

  /** Shows the thread all chains before an index. It may take them immediately, so this follows all other writes. */
  publish(index: number): void {
    Atomics.store(this.#halves, this.#available / 2 + 1, index);
  }

  /** Whether the thread waits for a kick. */
  get isAsleep(): boolean {
    return (Atomics.load(this.#halves, this.#used / 2) & SUPPRESSED) === 0;
  }

  /** Sets whether the thread should interrupt when it returns chains. */
  wantInterrupts(wanted: boolean): void {
    Atomics.store(this.#halves, this.#available / 2, wanted ? 0 : SUPPRESSED);
  }

  /** The index before which the thread has returned all chains. */
  get returned(): number {
    return Atomics.load(this.#halves, this.#used / 2 + 1);
  }

  /** The first descriptor of the chain that the thread returned at an index. */
  returnedAt(index: number): number {
    return this.#words[this.#used / 4 + 1 + 2 * (index % this.#size)]! % this.#size;
  }
}
