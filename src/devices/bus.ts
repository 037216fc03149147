import type { AccessSize, IoHandler } from './device.ts';

/** The label of a region of the counters: one range of ports or memory, at its first address. */
export type RegionLabel = {
  readonly device: string;
  readonly space: 'port' | 'memory';
  readonly start: number;
  readonly size: number;
};

/** The counters of one region. `ns` is the time the device model took to answer an access to `address`. */
export interface RegionCounters {
  read(address: number, ns: number): void;
  written(address: number, ns: number): void;
  /** Zeroes them for another region. */
  release(): void;
}

/** The device name of the region that counts unclaimed accesses. */
export const UNCLAIMED = 'unclaimed';

export type BusOptions = {
  readonly space: 'port' | 'memory';
  /** Called once per range, when it is first mapped, and once for unclaimed accesses. */
  readonly counters: (label: RegionLabel) => RegionCounters;
  /** Monotonic nanoseconds; a plain number, because it is read twice per access. */
  readonly now?: () => number;
};

/** Results of a lookup that are not the index of a segment. */
const UNMAPPED = -1;
const STRADDLES = -2;

/**
 * The port space or the physical address space of one machine: maps addresses to device models.
 *
 * A guest can move BARs on top of anything, so overlaps are no error: of the ranges that contain an address, the one mapped
 * first answers. Unclaimed addresses read as all ones and ignore writes. An access that crosses the boundary of a range is
 * split into bytes.
 */
export class Bus {
  readonly space: 'port' | 'memory';
  readonly #counters: BusOptions['counters'];
  readonly #now: () => number;
  readonly #unclaimed: RegionCounters;
  /** Mapped ranges, oldest first. */
  readonly #mapped: BusRange[] = [];
  /**
   * The address space divided into segments with one range each, ascending and disjoint: segment i is
   * [starts[i], ends[i]). A sentinel segment at infinity saves bounds checks in the lookup.
   */
  #starts = Float64Array.of(Infinity);
  #ends = Float64Array.of(Infinity);
  #owners: BusRange[] = [];
  /** The segment of the last hit. */
  #last = 0;

  constructor(options: BusOptions) {
    this.space = options.space;
    this.#counters = options.counters;
    this.#now = options.now ?? (() => performance.now() * 1e6);
    const size = this.space === 'port' ? 2 ** 16 : 2 ** 52;
    this.#unclaimed = this.#counters({ device: UNCLAIMED, space: this.space, start: 0, size });
  }

  /** A new range, mapped at `start`. */
  claim(device: string, start: number, size: number, handler: IoHandler): BusRange {
    const counters = this.#counters({ device, space: this.space, start, size });
    const range = new BusRange(this, device, start, size, handler, counters);
    range.map(start);
    return range;
  }

  /** The value at `address`, little endian, unsigned. */
  read(address: number, size: AccessSize): number {
    const segment = this.#find(address, size);
    if (segment >= 0) {
      const range = this.#owners[segment]!;
      const began = this.#now();
      const value = range.handler.read(address - range.start, size);
      range.counters.read(address, this.#now() - began);
      return size === 4 ? value >>> 0 : size === 2 ? value & 0xffff : value & 0xff;
    }
    if (segment === UNMAPPED) {
      this.#unclaimed.read(address, 0);
      return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
    }
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.read(address + i, 1) << (8 * i);
    return value >>> 0;
  }

  write(address: number, size: AccessSize, value: number): void {
    const segment = this.#find(address, size);
    if (segment >= 0) {
      const range = this.#owners[segment]!;
      const began = this.#now();
      range.handler.write(address - range.start, size, value);
      range.counters.written(address, this.#now() - began);
    } else if (segment === UNMAPPED) {
      this.#unclaimed.written(address, 0);
    } else {
      for (let i = 0; i < size; i++) this.write(address + i, 1, (value >>> (8 * i)) & 0xff);
    }
  }

  /** A vCPU's read of any length; 8 bytes become two reads of 4. The bytes go to `into` at offset `at`. */
  readTo(address: number, length: number, into: DataView, at: number): void {
    for (let done = 0; done < length; ) {
      const size = largestAccess(length - done);
      const value = this.read(address + done, size);
      if (size === 4) into.setUint32(at + done, value, true);
      else if (size === 2) into.setUint16(at + done, value, true);
      else into.setUint8(at + done, value);
      done += size;
    }
  }

  /** A vCPU's write of any length, with the bytes at offset `at` of `from`. */
  writeFrom(address: number, length: number, from: DataView, at: number): void {
    for (let done = 0; done < length; ) {
      const size = largestAccess(length - done);
      const value =
        size === 4
          ? from.getUint32(at + done, true)
          : size === 2
            ? from.getUint16(at + done, true)
            : from.getUint8(at + done);
      this.write(address + done, size, value);
      done += size;
    }
  }

  /** The range that answers a one-byte access to `address`, or null. */
  owner(address: number): BusRange | null {
    const segment = this.#find(address, 1);
    return segment >= 0 ? this.#owners[segment]! : null;
  }

  /** @internal for BusRange: maps `range` at its `start`, with lower priority than earlier ranges. */
  insert(range: BusRange): void {
    this.#mapped.push(range);
    this.#rebuild();
  }

  /** @internal for BusRange. */
  remove(range: BusRange): void {
    this.#mapped.splice(this.#mapped.indexOf(range), 1);
    this.#rebuild();
  }

  /** The segment that holds all of [address, address + size), or why there is none. */
  #find(address: number, size: number): number {
    const starts = this.#starts;
    const ends = this.#ends;
    const end = address + size;
    const last = this.#last;
    if (address >= starts[last]! && end <= ends[last]!) return last;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ends[middle]! <= address) low = middle + 1;
      else high = middle;
    }
    if (address < starts[low]!) return end > starts[low]! ? STRADDLES : UNMAPPED;
    if (end > ends[low]!) return STRADDLES;
    this.#last = low;
    return low;
  }

  #rebuild(): void {
    const segments: { start: number; end: number; range: BusRange }[] = [];
    for (const range of this.#mapped) {
      const end = range.start + range.size;
      let free = range.start;
      const taken = segments.filter(segment => segment.start < end && segment.end > range.start);
      for (const segment of taken.sort((a, b) => a.start - b.start)) {
        if (free < segment.start) segments.push({ start: free, end: segment.start, range });
        free = Math.max(free, segment.end);
      }
      if (free < end) segments.push({ start: free, end, range });
    }
    segments.sort((a, b) => a.start - b.start);
    this.#starts = Float64Array.from([...segments.map(segment => segment.start), Infinity]);
    this.#ends = Float64Array.from([...segments.map(segment => segment.end), Infinity]);
    this.#owners = segments.map(segment => segment.range);
    this.#last = 0;
  }
}

/** One device model's claim to `size` ports or bytes of memory, which can move. */
export class BusRange {
  readonly device: string;
  readonly size: number;
  readonly handler: IoHandler;
  readonly counters: RegionCounters;
  readonly #bus: Bus;
  #start: number;
  #mapped = false;

  constructor(
    bus: Bus,
    device: string,
    start: number,
    size: number,
    handler: IoHandler,
    counters: RegionCounters,
  ) {
    this.#bus = bus;
    this.device = device;
    this.#start = start;
    this.size = size;
    this.handler = handler;
    this.counters = counters;
  }

  /** The address of the range, or its last one if unmapped. */
  get start(): number {
    return this.#start;
  }

  get mapped(): boolean {
    return this.#mapped;
  }

  /** Maps or moves the range to `start`. */
  map(start: number): void {
    if (this.#mapped && this.#start === start) return;
    this.unmap();
    this.#start = start;
    this.#mapped = true;
    this.#bus.insert(this);
  }

  unmap(): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    this.#bus.remove(this);
  }
}

function largestAccess(length: number): AccessSize {
  return length >= 4 ? 4 : length >= 2 ? 2 : 1;
}
