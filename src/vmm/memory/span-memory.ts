import { type GuestMemory, GuestMemoryError, type MemoryRegion } from '../../devices/guest-memory.ts';
import type { HostBlock } from '../../devices/host-block.ts';

/** Memory that is contiguous for the guest and in this process. */
export type Span = {
  /** Guest-physical. */
  readonly address: number;
  readonly size: number;
  readonly block: HostBlock;
  /** Its offset in the block. */
  readonly offset: number;
  readonly writable: boolean;
};

/** Records device models' writes. */
export interface WriteLog {
  wrote(block: HostBlock, offset: number, length: number): void;
}

/** Guest memory made of spans, which can change. */
export class SpanMemory implements GuestMemory {
  readonly regions: readonly MemoryRegion[];
  /** Set while the writes of device models are logged. */
  writeLog: WriteLog | null = null;
  #spans: readonly Span[] = [];
  #views: readonly View[] = [];
  #last: View | null = null;

  /** @param regions the installed RAM, for memory maps */
  constructor(regions: readonly MemoryRegion[]) {
    this.regions = regions;
  }

  /** @param spans ascending, not overlapping */
  setSpans(spans: readonly Span[]): void {
    this.#spans = spans;
    this.#views = spans.flatMap(viewsOf);
    this.#last = null;
  }

  get spans(): readonly Span[] {
    return this.#spans;
  }

  contains(address: number, length: number, access: 'read' | 'write' = 'read'): boolean {
    const span = this.#find(address, length);
    return span !== null && (access === 'read' || span.writable);
  }

  readable(address: number, length: number): Uint8Array {
    const span = this.#readable(address, length);
    return new Uint8Array(span.buffer, address - span.base, length);
  }

  writable(address: number, length: number): Uint8Array {
    const span = this.#writable(address, length);
    return new Uint8Array(span.buffer, address - span.base, length);
  }

  readU16(address: number): number {
    const span = this.#readable(address, 2);
    return span.data.getUint16(address - span.base, true);
  }

  readU32(address: number): number {
    const span = this.#readable(address, 4);
    return span.data.getUint32(address - span.base, true);
  }

  readU64(address: number): bigint {
    const span = this.#readable(address, 8);
    return span.data.getBigUint64(address - span.base, true);
  }

  writeU16(address: number, value: number): void {
    const span = this.#writable(address, 2);
    span.data.setUint16(address - span.base, value, true);
  }

  writeU32(address: number, value: number): void {
    const span = this.#writable(address, 4);
    span.data.setUint32(address - span.base, value, true);
  }

  writeU64(address: number, value: bigint): void {
    const span = this.#writable(address, 8);
    span.data.setBigUint64(address - span.base, value, true);
  }

  #readable(address: number, length: number): View {
    const span = this.#find(address, length);
    if (span === null) throw new GuestMemoryError(address, length);
    return span;
  }

  #writable(address: number, length: number): View {
    const span = this.#find(address, length);
    if (span === null || !span.writable) throw new GuestMemoryError(address, length);
    this.writeLog?.wrote(span.block, address - span.base, length);
    return span;
  }

  /** NaN, fractions and numbers beyond 2^53 are in no span. */
  #find(address: number, length: number): View | null {
    if (!Number.isSafeInteger(address) || !Number.isSafeInteger(length) || length < 0) return null;
    const last = this.#last;
    // `end - length` cannot overflow, as `address + length` could.
    if (last !== null && address >= last.start && address <= last.end - length) return last;
    for (const span of this.#views) {
      if (address < span.start || address > span.end - length) continue;
      this.#last = span;
      return span;
    }
    return null;
  }
}

/** The part in its block's head comes first, since a view of that already exists. */
function viewsOf(span: Span): View[] {
  const { block, offset, size } = span;
  const inHead = Math.min(size, (block.head?.byteLength ?? 0) - offset);
  return inHead <= 0 ? [new View(span)] : [new View({ ...span, size: inHead }, block.head), new View(span)];
}

/** One span and the views of its block, created once. */
class View {
  readonly start: number;
  readonly end: number;
  /** The guest address of the block's first byte, if the span reached that far. */
  readonly base: number;
  readonly writable: boolean;
  readonly block: HostBlock;
  #buffer: ArrayBuffer | undefined;
  #data: DataView | undefined;

  /** @param buffer of the block's beginning; default: of all of it */
  constructor({ address, size, block, offset, writable }: Span, buffer?: ArrayBuffer) {
    this.start = address;
    this.end = address + size;
    this.base = address - offset;
    this.writable = writable;
    this.block = block;
    this.#buffer = buffer;
  }

  get buffer(): ArrayBuffer {
    this.#buffer ??= this.block.buffer;
    return this.#buffer;
  }

  get data(): DataView {
    this.#data ??= new DataView(this.buffer);
    return this.#data;
  }
}
