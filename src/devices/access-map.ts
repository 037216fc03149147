import type { AccessSize, IoHandler } from './device.ts';

/** The counters of one region. The duration of an access is counted by the code that handles the exit it is part of. */
export interface RegionCounters {
  read(address: number): void;
  written(address: number): void;
  /** Zeroes the counters, for reuse by another region. */
  release(): void;
}

/** The handler of accesses to a segment of an address space. */
export type AccessTarget = {
  /** The address at which its handler's offset is 0. */
  readonly base: number;
  readonly handler: IoHandler;
  readonly counters: RegionCounters;
};

/** [start, end), answered by one target. */
export type Segment<T extends AccessTarget> = {
  readonly start: number;
  readonly end: number;
  readonly target: T;
};

/** Results of a lookup that are not the index of a segment. */
const UNMAPPED = -1;
const STRADDLES = -2;

/**
 * An address space, divided into segments: finds the target of a guest's access, and counts it. Unclaimed addresses
 * read as all ones and ignore writes. An access that crosses the boundary of a segment is split into bytes.
 */
export class AccessMap<T extends AccessTarget> {
  readonly #unclaimed: RegionCounters;
  /**
   * Segment i is [starts[i], ends[i]), ascending and disjoint. A sentinel segment at infinity saves bounds checks in
   * the lookup.
   */
  #starts = Float64Array.of(Infinity);
  #ends = Float64Array.of(Infinity);
  #targets: T[] = [];
  /** The segment of the last hit. */
  #last = 0;

  /** @param unclaimed counts accesses that hit no segment */
  constructor(unclaimed: RegionCounters) {
    this.#unclaimed = unclaimed;
  }

  /** @param segments ascending and disjoint */
  protected setSegments(segments: readonly Segment<T>[]): void {
    const starts = new Float64Array(segments.length + 1).fill(Infinity);
    const ends = new Float64Array(segments.length + 1).fill(Infinity);
    segments.forEach(({ start, end }, index) => {
      starts[index] = start;
      ends[index] = end;
    });
    this.#starts = starts;
    this.#ends = ends;
    this.#targets = segments.map(({ target }) => target);
    this.#last = 0;
  }

  /** The value at `address`, little endian, unsigned. */
  read(address: number, size: AccessSize): number {
    const segment = this.#find(address, size);
    if (segment >= 0) {
      const target = this.#targets[segment]!;
      const value = target.handler.read(address - target.base, size);
      target.counters.read(address);
      return size === 4 ? value >>> 0 : size === 2 ? value & 0xffff : value & 0xff;
    }
    if (segment === UNMAPPED) {
      this.#unclaimed.read(address);
      return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
    }
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.read(address + i, 1) << (8 * i);
    return value >>> 0;
  }

  write(address: number, size: AccessSize, value: number): void {
    const segment = this.#find(address, size);
    if (segment >= 0) {
      const target = this.#targets[segment]!;
      target.handler.write(address - target.base, size, value);
      target.counters.written(address);
    } else if (segment === UNMAPPED) {
      this.#unclaimed.written(address);
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

  /**
   * The reads of a string instruction: `count` reads, all at `address`. Counted as one if the handler takes them as
   * one.
   */
  readStringTo(address: number, size: AccessSize, count: number, into: DataView, at: number): void {
    if (count === 1) {
      this.readTo(address, size, into, at);
      return;
    }
    const segment = this.#find(address, size);
    const target = segment >= 0 ? this.#targets[segment]! : null;
    if (target?.handler.readString === undefined) {
      for (let item = 0; item < count; item++) this.readTo(address, size, into, at + item * size);
      return;
    }
    const bytes = new Uint8Array(into.buffer, into.byteOffset + at, count * size);
    target.handler.readString(address - target.base, size, bytes);
    target.counters.read(address);
  }

  writeStringFrom(address: number, size: AccessSize, count: number, from: DataView, at: number): void {
    if (count === 1) {
      this.writeFrom(address, size, from, at);
      return;
    }
    const segment = this.#find(address, size);
    const target = segment >= 0 ? this.#targets[segment]! : null;
    if (target?.handler.writeString === undefined) {
      for (let item = 0; item < count; item++) this.writeFrom(address, size, from, at + item * size);
      return;
    }
    const bytes = new Uint8Array(from.buffer, from.byteOffset + at, count * size);
    target.handler.writeString(address - target.base, size, bytes);
    target.counters.written(address);
  }

  /** The target of a one-byte access to `address`, or null. */
  protected targetAt(address: number): T | null {
    const segment = this.#find(address, 1);
    return segment >= 0 ? this.#targets[segment]! : null;
  }

  /** The segment that contains all of [address, address + size), or why there is none. */
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
}

function largestAccess(length: number): AccessSize {
  return length >= 4 ? 4 : length >= 2 ? 2 : 1;
}
