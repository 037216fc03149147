import type { Segment } from '../../devices/backends/disk-port.ts';
import type { VirtioQueue } from '../../devices/virtio/virtio-device.ts';
import { OWN_MEMORY } from '../native/queue-threads.ts';
import { DESCRIPTOR, DESCRIPTOR_BYTES, DriverRing, ringParts } from './driver-ring.ts';

/** Requests that fit in a ring. */
export const RING_SLOTS = 64;
/** Most data segments of a request: its table also has a descriptor for the header and one for the status. */
export const RING_SEGMENTS = 254;
/** Memory for data outside guest memory, and its parts. */
export const RING_BUFFERS = 4;
export const RING_BUFFER_BYTES = 65_536;

const TABLE = DESCRIPTOR_BYTES * (RING_SEGMENTS + 2);
/** Bytes of a slot besides its table: the request's header, the range of a discard, the status. */
const SLOT = 64;
const RANGE_AT = 16;
const STATUS_AT = 32;

/** Offsets of the parts in the memory, after the ring. */
const SLOTS = ringParts(RING_SLOTS).end;
const TABLES = SLOTS + RING_SLOTS * SLOT;
const BUFFERS = TABLES + RING_SLOTS * TABLE;
export const RING_BYTES = BUFFERS + RING_BUFFERS * RING_BUFFER_BYTES;

/** Types of virtio-blk requests (virtio 1.3 §5.2.6). */
export const BLK_TYPE = { in: 0, out: 1, flush: 4, discard: 11, writeZeroes: 13 } as const;
/** Flag of a range that is zeroed. */
const UNMAP = 1;

export type BlkRequest = {
  readonly type: (typeof BLK_TYPE)[keyof typeof BLK_TYPE];
  /** Of the data, in sectors. */
  readonly sector: number;
  readonly data: readonly Segment[];
};

/**
 * The driver's side of a split virtio-blk queue (virtio 1.3 §2.7, §5.2.6), in memory shared with the thread that serves
 * the queue. The caller chooses the slots.
 */
export class PortRing {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #ring: DriverRing;
  #offered = 0;
  #seen = 0;

  /** @param memory of `RING_BYTES`, which the thread finds at `OWN_MEMORY` */
  constructor(memory: ArrayBuffer) {
    this.#view = new DataView(memory);
    this.#bytes = new Uint8Array(memory);
    this.#ring = new DriverRing(memory, RING_SLOTS);
    this.reset();
  }

  /** Resets the ring for a thread that has not started. */
  reset(): void {
    this.#offered = 0;
    this.#seen = 0;
    this.#ring.clear();
  }

  /** The addresses of the parts of the ring for the thread. */
  get place(): Pick<VirtioQueue, 'size' | 'descriptors' | 'available' | 'used'> {
    return this.#ring.place;
  }

  /** Bytes of a buffer. */
  buffer(index: number): Uint8Array {
    const start = BUFFERS + index * RING_BUFFER_BYTES;
    return this.#bytes.subarray(start, start + RING_BUFFER_BYTES);
  }

  /** The first `length` bytes of a buffer, as data of a request. */
  bufferSegment(index: number, length: number): Segment {
    return { address: OWN_MEMORY + BUFFERS + index * RING_BUFFER_BYTES, length };
  }

  /** Offers a request in a free slot. */
  offer(slot: number, { type, sector, data }: BlkRequest): void {
    const view = this.#view;
    const own = SLOTS + slot * SLOT;
    view.setUint32(own, type, true);
    view.setUint32(own + 4, 0, true);
    view.setBigUint64(own + 8, BigInt(sector), true);
    view.setUint8(own + STATUS_AT, 0xff);
    const table = TABLES + slot * TABLE;
    const ring = this.#ring;
    const { next: more, write, indirect } = DESCRIPTOR;
    ring.describe(table, { address: OWN_MEMORY + own, length: 16 }, more, 1);
    const flags = more | (type === BLK_TYPE.in ? write : 0);
    let next = 1;
    for (const segment of data) ring.describe(table + next * DESCRIPTOR_BYTES, segment, flags, ++next);
    const status = { address: OWN_MEMORY + own + STATUS_AT, length: 1 };
    ring.describe(table + next * DESCRIPTOR_BYTES, status, write, 0);
    const whole = { address: OWN_MEMORY + table, length: (next + 1) * DESCRIPTOR_BYTES };
    ring.describe(slot * DESCRIPTOR_BYTES, whole, indirect, 0);
    ring.stage(this.#offered, slot);
    this.#offered = (this.#offered + 1) & 0xffff;
    ring.publish(this.#offered);
  }

  /** The range of a discard, or of one that is zeroed, as data of the request in `slot`. */
  range(slot: number, sector: number, sectors: number, unmaps: boolean): Segment {
    const at = SLOTS + slot * SLOT + RANGE_AT;
    this.#view.setBigUint64(at, BigInt(sector), true);
    this.#view.setUint32(at + 8, sectors, true);
    this.#view.setUint32(at + 12, unmaps ? UNMAP : 0, true);
    return { address: OWN_MEMORY + at, length: 16 };
  }

  /** The next completed request: its slot, and whether it succeeded; null if there is none. */
  take(): { readonly slot: number; readonly succeeded: boolean } | null {
    if (this.#ring.returned === this.#seen) return null;
    const slot = this.#ring.returnedAt(this.#seen);
    this.#seen = (this.#seen + 1) & 0xffff;
    return { slot, succeeded: this.#view.getUint8(SLOTS + slot * SLOT + STATUS_AT) === 0 };
  }
}
