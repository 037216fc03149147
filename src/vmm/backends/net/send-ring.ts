import type { VirtioQueue } from '../../../devices/virtio/virtio-device.ts';
import { OWN_MEMORY } from '../../native/queue-threads.ts';
import { DESCRIPTOR_BYTES, DriverRing, ringParts } from '../driver-ring.ts';

/** Slots of the memory for frames; a frame takes one or several. This is also the limit of small frames in flight. */
export const SEND_SLOTS = 256;
const SLOT_BYTES = 2048;
/** struct virtio_net_hdr_v1 (virtio 1.3 §5.1.6), all zeros: no offloads. */
export const SEND_HEADER_BYTES = 12;

/** Offset of the frames in the memory: after the ring. */
const FRAMES = ringParts(SEND_SLOTS).end;
export const SEND_RING_BYTES = FRAMES + SEND_SLOTS * SLOT_BYTES;

/**
 * The driver's side of a split virtio-net transmit queue (virtio 1.3 §2.7, §5.1.6.2), in memory shared with the thread
 * that sends the frames. A frame has a descriptor, and takes as many consecutive slots of the memory as it needs. The
 * thread sees frames in the ring after `publish`.
 */
export class SendRing {
  readonly #bytes: Uint8Array;
  readonly #skipped: number;
  readonly #words: Uint32Array;
  readonly #ring: DriverRing;
  /** Slots taken by the frame that begins at each slot, including any left free before it. */
  readonly #slots = new Uint8Array(SEND_SLOTS);
  /** Bytes of the frame that begins at each slot, including its header. */
  readonly #lengths = new Uint32Array(SEND_SLOTS);
  /** The memory from each slot on. */
  readonly #views: Uint8Array[] = [];
  /** The first slots of the frames, by their number modulo `SEND_SLOTS`. */
  readonly #order = new Uint8Array(SEND_SLOTS);
  #next = 0;
  #free = SEND_SLOTS;
  /** Frames put into the ring, published, and returned: modulo 2^16. */
  #put = 0;
  #published = 0;
  #returned = 0;

  /**
   * @param memory of `SEND_RING_BYTES`, which the thread finds at `OWN_MEMORY` @param headerBytes of the header with
   * which frames are taken back: all or nothing
   */
  constructor(memory: ArrayBuffer, headerBytes: 0 | typeof SEND_HEADER_BYTES) {
    this.#skipped = SEND_HEADER_BYTES - headerBytes;
    this.#bytes = new Uint8Array(memory);
    this.#words = new Uint32Array(memory);
    this.#ring = new DriverRing(memory, SEND_SLOTS);
    this.#ring.clear();
    this.#ring.wantInterrupts(false);
    for (let slot = 0; slot < SEND_SLOTS; slot++)
      this.#views.push(this.#bytes.subarray(FRAMES + slot * SLOT_BYTES + this.#skipped));
  }

  /** The addresses of the parts of the ring for the thread. */
  get place(): Pick<VirtioQueue, 'size' | 'descriptors' | 'available' | 'used'> {
    return this.#ring.place;
  }

  /** Number of frames that the thread does not see yet. */
  get staged(): number {
    return (this.#put - this.#published) & 0xffff;
  }

  /** Whether the thread has returned all that it has seen. */
  get isIdle(): boolean {
    this.#reclaim();
    return this.#returned === this.#published;
  }

  /** Whether the thread waits for a kick. */
  get isAsleep(): boolean {
    return this.#ring.isAsleep;
  }

  /** @returns whether there was room for the frame */
  put(frame: Uint8Array): boolean {
    const slots = Math.ceil((SEND_HEADER_BYTES + frame.length) / SLOT_BYTES);
    const skipped = this.#next + slots > SEND_SLOTS ? SEND_SLOTS - this.#next : 0;
    if (skipped + slots > this.#free) {
      this.#reclaim();
      if (skipped + slots > this.#free) return false;
    }
    const slot = skipped > 0 ? 0 : this.#next;
    this.#describe(slot, SEND_HEADER_BYTES + frame.length);
    this.#bytes.set(frame, FRAMES + slot * SLOT_BYTES + SEND_HEADER_BYTES);
    this.#slots[slot] = skipped + slots;
    this.#lengths[slot] = SEND_HEADER_BYTES + frame.length;
    this.#order[this.#put % SEND_SLOTS] = slot;
    this.#free -= skipped + slots;
    this.#next = (slot + slots) % SEND_SLOTS;
    this.#ring.stage(this.#put, slot);
    this.#put = (this.#put + 1) & 0xffff;
    return true;
  }

  /** Shows the thread all frames. @returns whether it needs a kick */
  publish(): boolean {
    this.#published = this.#put;
    // This comes last: the thread takes frames as soon as it sees it.
    this.#ring.publish(this.#put);
    return this.isAsleep;
  }

  /** The first frame that the thread does not see yet, with its header if it has one, and what follows in memory. */
  get firstStaged(): Uint8Array {
    return this.#views[this.#firstSlot()]!;
  }

  /** The bytes of that frame, including its header. */
  get firstLength(): number {
    return this.#lengths[this.#firstSlot()]! - this.#skipped;
  }

  /** Takes back that frame, the only one that the thread does not see yet. */
  dropStaged(): void {
    const slot = this.#firstSlot();
    this.#next = slot;
    this.#free += this.#slots[slot]!;
    this.#put = this.#published;
  }

  /**
   * Takes back the frames that the thread does not see yet, or, once it has ended, those that it has not returned.
   * @returns them in order, valid until the next `put`
   */
  takeBack(all = false): Uint8Array[] {
    const frames: Uint8Array[] = [];
    if (all) {
      this.#reclaim();
      this.#published = this.#returned;
    }
    if (this.#published !== this.#put) this.#next = this.#firstSlot();
    for (let at = this.#published; at !== this.#put; at = (at + 1) & 0xffff) {
      const slot = this.#order[at % SEND_SLOTS]!;
      frames.push(this.#views[slot]!.subarray(0, this.#lengths[slot]! - this.#skipped));
      this.#free += this.#slots[slot]!;
    }
    this.#put = this.#published;
    return frames;
  }

  /** Asks for an interrupt when the thread returns frames. @returns whether it has done so in the meantime */
  awaitRoom(): boolean {
    const before = this.#returned;
    this.#ring.wantInterrupts(true);
    this.#reclaim();
    return this.#returned !== before;
  }

  /** Asks for no more interrupts. */
  awaitNothing(): void {
    this.#ring.wantInterrupts(false);
  }

  #firstSlot(): number {
    return this.#order[this.#published % SEND_SLOTS]!;
  }

  #describe(slot: number, length: number): void {
    const at = FRAMES + slot * SLOT_BYTES;
    this.#ring.describe(slot * DESCRIPTOR_BYTES, { address: OWN_MEMORY + at, length }, 0, 0);
    for (let word = at / 4; word < (at + SEND_HEADER_BYTES) / 4; word++) this.#words[word] = 0;
  }

  /** Frees the slots of frames that the thread has returned, which it does in order. */
  #reclaim(): void {
    const { returned } = this.#ring;
    while (this.#returned !== returned && this.#returned !== this.#published) {
      this.#free += this.#slots[this.#order[this.#returned % SEND_SLOTS]!]!;
      this.#returned = (this.#returned + 1) & 0xffff;
    }
  }
}
