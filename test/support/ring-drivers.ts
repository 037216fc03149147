import type { GuestMemory } from '../../src/devices/guest-memory.ts';
import type { VirtioQueue } from '../../src/devices/virtio/virtio-device.ts';

/** A buffer that a driver offers. */
export type Offered = { readonly address: number; readonly length: number; readonly write?: boolean };

/** A chain that the device has returned. */
export type Returned = { readonly id: number; readonly written: number };

type Place = Pick<VirtioQueue, 'size' | 'descriptors' | 'available' | 'used'>;

const FLAG = { next: 1, write: 2, indirect: 4, avail: 0x80, used: 0x8000 } as const;

/** The driver's side of a virtqueue. The driver chooses ids, unique among outstanding chains. */
export interface RingDriver {
  /**
   * @param table where an indirect table goes; by default, the descriptors are in the ring.
   * @returns whether there was room
   */
  offer(buffers: readonly Offered[], table?: number): boolean;
  /** Chains that the device has returned since the last call. */
  collect(): Returned[];
  /** Whether the last offer needs a kick, according to the event index or flag that the device wrote. */
  readonly wantsKick: boolean;
  /** The id of the next offer; null if there is no room. */
  readonly nextId: number | null;
}

function writeDescriptor(
  memory: GuestMemory,
  at: number,
  { address, length }: Offered,
  [third, fourth]: readonly [number, number],
): void {
  memory.writeU64(at, BigInt(address));
  memory.writeU32(at + 8, length);
  memory.writeU16(at + 12, third);
  memory.writeU16(at + 14, fourth);
}

/** Virtio 1.3 §2.7. */
export class SplitRingDriver implements RingDriver {
  readonly #memory: GuestMemory;
  readonly #place: Place;
  readonly #eventIdx: boolean;
  readonly #free: number[];
  readonly #chains = new Map<number, number[]>();
  #offered = 0;
  #seen = 0;

  constructor(memory: GuestMemory, place: Place, eventIdx: boolean) {
    this.#memory = memory;
    this.#place = place;
    this.#eventIdx = eventIdx;
    this.#free = Array.from({ length: place.size }, (_, index) => index);
  }

  get nextId(): number | null {
    return this.#free[0] ?? null;
  }

  offer(buffers: readonly Offered[], table?: number): boolean {
    const { size, descriptors, available } = this.#place;
    const memory = this.#memory;
    if (this.#free.length < (table === undefined ? buffers.length : 1)) return false;
    const indices = this.#free.splice(0, table === undefined ? buffers.length : 1);
    const [base, places] = table === undefined ? [descriptors, indices] : [table, buffers.map((_, i) => i)];
    buffers.forEach((buffer, i) => {
      const next = places[i + 1];
      const flags = (buffer.write ? FLAG.write : 0) | (next === undefined ? 0 : FLAG.next);
      writeDescriptor(memory, base + 16 * places[i]!, buffer, [flags, next ?? 0]);
    });
    if (table !== undefined) {
      const whole = { address: table, length: 16 * buffers.length };
      writeDescriptor(memory, descriptors + 16 * indices[0]!, whole, [FLAG.indirect, 0]);
    }
    this.#chains.set(indices[0]!, indices);
    memory.writeU16(available + 4 + 2 * (this.#offered % size), indices[0]!);
    this.#offered = (this.#offered + 1) & 0xffff;
    memory.writeU16(available + 2, this.#offered);
    if (this.#eventIdx) memory.writeU16(available + 4 + 2 * size, this.#seen);
    return true;
  }

  get wantsKick(): boolean {
    const { size, used } = this.#place;
    if (!this.#eventIdx) return (this.#memory.readU16(used) & 1) === 0;
    return this.#memory.readU16(used + 4 + 8 * size) === ((this.#offered - 1) & 0xffff);
  }

  collect(): Returned[] {
    const { size, used, available } = this.#place;
    const returned: Returned[] = [];
    const end = this.#memory.readU16(used + 2);
    for (; this.#seen !== end; this.#seen = (this.#seen + 1) & 0xffff) {
      const at = used + 4 + 8 * (this.#seen % size);
      const id = this.#memory.readU32(at);
      returned.push({ id, written: this.#memory.readU32(at + 4) });
      this.#free.push(...this.#chains.get(id)!);
      this.#chains.delete(id);
    }
    if (this.#eventIdx) this.#memory.writeU16(available + 4 + 2 * size, this.#seen);
    return returned;
  }
}

/** Virtio 1.3 §2.8. */
export class PackedRingDriver implements RingDriver {
  readonly #memory: GuestMemory;
  readonly #place: Place;
  readonly #eventIdx: boolean;
  readonly #lengths = new Map<number, number>();
  #free: number;
  #ids = 0;
  #next = { index: 0, wrap: true };
  #seen = { index: 0, wrap: true };
  #lastOffer = 0;

  constructor(memory: GuestMemory, place: Place, eventIdx: boolean) {
    this.#memory = memory;
    this.#place = place;
    this.#eventIdx = eventIdx;
    this.#free = place.size;
  }

  get nextId(): number | null {
    return this.#free === 0 ? null : this.#ids;
  }

  offer(buffers: readonly Offered[], table?: number): boolean {
    const memory = this.#memory;
    const count = table === undefined ? buffers.length : 1;
    if (this.#free < count) return false;
    const id = this.#ids;
    this.#ids = (this.#ids + 1) % 1000;
    this.#lengths.set(id, count);
    this.#free -= count;
    this.#lastOffer = this.#next.index | (this.#next.wrap ? 0x8000 : 0);
    if (table !== undefined) {
      buffers.forEach((buffer, i) => {
        writeDescriptor(memory, table + 16 * i, buffer, [0, buffer.write ? FLAG.write : 0]);
      });
      this.#put({ address: table, length: 16 * buffers.length }, id, FLAG.indirect);
      return true;
    }
    buffers.forEach((buffer, i) => {
      this.#put(buffer, id, (buffer.write ? FLAG.write : 0) | (i === count - 1 ? 0 : FLAG.next));
    });
    return true;
  }

  get wantsKick(): boolean {
    const events = this.#memory.readU32(this.#place.used);
    const flags = events >>> 16;
    return flags === 0 || (flags === 2 && (events & 0xffff) === this.#lastOffer);
  }

  collect(): Returned[] {
    const { size, descriptors, available } = this.#place;
    const returned: Returned[] = [];
    for (;;) {
      const at = descriptors + 16 * this.#seen.index;
      const flags = this.#memory.readU16(at + 14);
      const isUsed =
        ((flags & FLAG.avail) !== 0) === this.#seen.wrap && ((flags & FLAG.used) !== 0) === this.#seen.wrap;
      if (!isUsed || this.#free === size) break;
      const id = this.#memory.readU16(at + 12);
      returned.push({ id, written: this.#memory.readU32(at + 8) });
      const count = this.#lengths.get(id)!;
      this.#lengths.delete(id);
      this.#free += count;
      const next = this.#seen.index + count;
      this.#seen =
        next < size ? { ...this.#seen, index: next } : { index: next - size, wrap: !this.#seen.wrap };
    }
    const place = this.#seen.index | (this.#seen.wrap ? 0x8000 : 0);
    if (this.#eventIdx) this.#memory.writeU32(available, place + 2 * 0x1_0000);
    return returned;
  }

  #put(buffer: Offered, id: number, flags: number): void {
    const { index, wrap } = this.#next;
    const marks = wrap ? FLAG.avail : FLAG.used;
    writeDescriptor(this.#memory, this.#place.descriptors + 16 * index, buffer, [id, flags | marks]);
    this.#next = index + 1 < this.#place.size ? { index: index + 1, wrap } : { index: 0, wrap: !wrap };
  }
}
