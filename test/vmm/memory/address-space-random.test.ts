import { expect, test } from 'vitest';
import type { AccessSize, IoHandler } from '../../../src/devices/device.ts';
import { type HostBlock, PAGE } from '../../../src/devices/host-block.ts';
import { AddressSpace } from '../../../src/vmm/memory/address-space.ts';
import { KvmSlots } from '../../../src/vmm/memory/kvm-slots.ts';
import { ADDRESS_LIMIT, type MemoryRange, type RangeOptions } from '../../../src/vmm/memory/memory-range.ts';
import { UNCOUNTED } from '../../support/counters.ts';
import { fakeBlock } from '../../support/fake-block.ts';
import { FakeSlots } from '../../support/fake-slots.ts';
import { Random } from '../../support/random.ts';

/** Where ranges are: around 0, around 4 GiB, and at the end of what a CPU can address. */
const WINDOW = 24 * PAGE;
const WINDOWS = [0, 2 ** 32 - WINDOW / 2, ADDRESS_LIMIT - WINDOW];

/** What one byte of a range is, in the model: a byte of an array, which may take writes. */
type Bytes = { readonly array: Uint8Array; readonly offset: number; readonly writes: Uint8Array | null };

type Modeled = {
  readonly range: MemoryRange;
  readonly options: RangeOptions;
  readonly size: number;
  start: number;
  mapped: boolean;
  removed: boolean;
  order: number;
};

/** A device whose registers are memory. */
function device(array: Uint8Array): IoHandler {
  const data = new DataView(array.buffer);
  return {
    read: (at, size) =>
      size === 4 ? data.getUint32(at, true) : size === 2 ? data.getUint16(at, true) : data.getUint8(at),
    write: (at, size, value) => store(data, at, size, value),
  };
}

function store(data: DataView, at: number, size: AccessSize, value: number): void {
  if (size === 4) data.setUint32(at, value, true);
  else if (size === 2) data.setUint16(at, value, true);
  else data.setUint8(at, value);
}

/** The address space, and what it should do: for each byte, look through all ranges. */
class Model {
  readonly space = new AddressSpace({
    counters: () => UNCOUNTED,
  });
  readonly kvm = new FakeSlots(12);
  readonly #random: Random;
  readonly #blocks: HostBlock[];
  readonly #arrays = new Map<MemoryRange, { array: Uint8Array; writes: Uint8Array | null; at: number }>();
  #ranges: Modeled[] = [];
  #order = 0;
  #made = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#blocks = ['a', 'b'].map(name => fakeBlock(name, 16 * PAGE));
    for (const { buffer } of this.#blocks) {
      const bytes = new Uint8Array(buffer);
      bytes.set(bytes.map(() => this.#random.u32()));
    }
    this.space.listen(new KvmSlots(this.kvm, 12));
  }

  step(): void {
    const random = this.#random;
    const range = this.#ranges.length > 0 ? random.pick(this.#ranges) : null;
    switch (random.below(range === null ? 1 : 6)) {
      case 0:
      case 1:
        if (this.#ranges.length < 12) this.#add();
        else this.#remove(range!);
        break;
      case 2:
        this.#move(range!);
        break;
      case 3:
        range!.range.unmap();
        range!.mapped = false;
        break;
      case 4:
        this.#remove(range!);
        break;
      case 5:
        this.space.batch(() => {
          for (let i = random.below(5); i >= 0; i--) this.step();
        });
        break;
    }
  }

  #add(): void {
    const random = this.#random;
    const originals = this.#ranges.filter(({ options }) => options.kind !== 'alias');
    const kind = random.pick(['ram', 'rom', 'device', 'mmio', 'alias'] as const);
    const name = `${kind}${this.#made++}`;
    const priority = random.below(3) - 1;
    const mapped = random.below(4) > 0;
    if (kind === 'mmio') {
      const size = 1 + random.below(3 * PAGE);
      const array = new Uint8Array(size).map(() => random.u32());
      const start = this.#place(size, 1);
      this.#holds(
        this.#addTo({ kind, name, priority, mapped, start, size, handler: device(array) }),
        array,
        array,
        0,
      );
    } else if (kind === 'alias') {
      if (originals.length === 0) return;
      const of = random.pick(originals);
      const unit = of.options.kind === 'mmio' ? 1 : PAGE;
      const offset = random.below(of.size / unit) * unit;
      const size = (1 + random.below((of.size - offset) / unit)) * unit;
      this.#addTo({
        kind,
        name,
        priority,
        mapped,
        start: this.#place(size, unit),
        size,
        of: of.range,
        offset,
      });
    } else {
      const block = random.pick(this.#blocks);
      const offset = random.below(12) * PAGE;
      const size = (1 + random.below(4)) * PAGE;
      const array = new Uint8Array(block.buffer);
      const common = { name, priority, mapped, start: this.#place(size, PAGE), size, block, offset };
      if (kind !== 'rom') this.#holds(this.#addTo({ ...common, kind }), array, array, offset);
      else if (random.below(2) === 0) this.#holds(this.#addTo({ ...common, kind }), array, null, offset);
      else {
        const writes = new Uint8Array(offset + size);
        const data = new DataView(writes.buffer);
        const onWrite = (at: number, length: AccessSize, value: number) =>
          store(data, offset + at, length, value);
        this.#holds(this.#addTo({ ...common, kind, onWrite }), array, writes, offset);
      }
    }
  }

  #holds(range: MemoryRange, array: Uint8Array, writes: Uint8Array | null, at: number): void {
    this.#arrays.set(range, { array, writes, at });
  }

  #addTo(options: RangeOptions): MemoryRange {
    const range = this.space.add(options);
    const { start, size, mapped = true } = options;
    this.#ranges.push({
      range,
      options,
      size,
      start,
      mapped,
      removed: false,
      order: mapped ? this.#order++ : -1,
    });
    return range;
  }

  #move(modeled: Modeled): void {
    const unit = modeled.range.content.kind === 'mmio' ? 1 : PAGE;
    const start = this.#random.below(8) === 0 ? modeled.start : this.#place(modeled.size, unit);
    if (!modeled.mapped || modeled.start !== start) modeled.order = this.#order++;
    modeled.range.map(start);
    modeled.start = start;
    modeled.mapped = true;
  }

  #remove(modeled: Modeled): void {
    modeled.range.remove();
    modeled.mapped = false;
    modeled.removed = true;
    this.#ranges = this.#ranges.filter(other => other !== modeled);
  }

  /** Often next to, or partly over, something. */
  #place(size: number, unit: number): number {
    const window = this.#random.pick(WINDOWS);
    const room = Math.floor((WINDOW - size) / unit);
    return window + this.#random.below(room + 1) * unit;
  }

  /** The top range at an address. */
  top(address: number): Modeled | null {
    const here = this.#ranges.filter(
      ({ mapped, start, size, range }) =>
        mapped && this.#isThere(range) && address >= start && address < start + size,
    );
    here.sort((a, b) => (b.options.priority ?? 0) - (a.options.priority ?? 0) || a.order - b.order);
    return here[0] ?? null;
  }

  #isThere(range: MemoryRange): boolean {
    return this.#ranges.some(other => other.range === range.source);
  }

  byte(address: number): Bytes | null {
    const top = this.top(address);
    if (top === null) return null;
    const offset = address - top.start + (top.options.kind === 'alias' ? (top.options.offset ?? 0) : 0);
    const { array, writes, at } = this.#arrays.get(top.range.source)!;
    return { array, writes, offset: at + offset };
  }

  access(): void {
    const random = this.#random;
    const length = random.pick([1, 2, 3, 4, 8]);
    const address = random.pick(WINDOWS) + random.below(WINDOW + 8) - 4;
    if (address < 0) return;
    const data = new DataView(new ArrayBuffer(8));
    const where = Array.from({ length }, (_, at) => this.byte(address + at));
    if (random.below(2) === 0) {
      this.space.readTo(address, length, data, 0);
      const expected = where.map(byte => (byte === null ? 0xff : byte.array[byte.offset]));
      expect([...new Uint8Array(data.buffer, 0, length)]).toEqual(expected);
      return;
    }
    for (let at = 0; at < length; at++) data.setUint8(at, random.u32());
    this.space.writeFrom(address, length, data, 0);
    for (const [at, byte] of where.entries()) {
      if (byte?.writes) expect(byte.writes[byte.offset]).toBe(data.getUint8(at));
    }
  }

  /** Compares what device models reach. */
  reach(): void {
    const random = this.#random;
    const address = random.pick(WINDOWS) + random.below(WINDOW);
    const length = random.below(2 * PAGE);
    const bytes = Array.from({ length }, (_, at) => ({
      ...this.byte(address + at),
      top: this.top(address + at),
    }));
    const kinds = bytes.map(({ top }) => top?.range.content.kind ?? null);
    const isMemory = kinds.every(kind => kind !== null && kind !== 'mmio');
    const isOne = bytes.every(
      ({ array, offset }, at) =>
        at === 0 || (array === bytes[at - 1]!.array && offset === bytes[at - 1]!.offset! + 1),
    );
    const isRom = new Set(kinds.map(kind => kind === 'rom'));
    const contained =
      isMemory && isOne && isRom.size <= 1 && (length > 0 || this.space.memory.contains(address, 0));
    expect(this.space.memory.contains(address, length)).toBe(contained);
    const writable =
      contained && (length > 0 ? !isRom.has(true) : this.space.memory.contains(address, 0, 'write'));
    expect(this.space.memory.contains(address, length, 'write')).toBe(writable);
    if (!contained) return;
    const view = this.space.memory.readable(address, length);
    expect([view[0], view.at(-1)]).toEqual(
      [0, -1].map(at => bytes.at(at)).map(byte => byte && byte.array![byte.offset!]),
    );
  }

  /** Compares every page with KVM's slots. */
  pages(): void {
    let missing = 0;
    for (const window of WINDOWS) {
      for (let page = window; page < window + WINDOW; page += PAGE) {
        const expected = this.#page(page);
        const found = this.kvm.at(page);
        if (found === null && expected !== null) missing++;
        else expect(found).toEqual(expected);
      }
    }
    // A piece without a slot has its accesses answered by the address space.
    if (this.kvm.slots.size < 12) expect(missing).toBe(0);
  }

  #page(page: number): { host: bigint; writable: boolean } | null {
    const top = this.top(page);
    // Ranges of memory begin and end with pages, so a page has two tops only where a device shares it.
    for (let at = 0; at < PAGE; at += 1) if (this.top(page + at) !== top) return null;
    if (top === null) return null;
    const { content } = top.range;
    if (content.kind === 'mmio') return null;
    const { offset } = this.byte(page)!;
    return { host: content.block.host + BigInt(offset), writable: content.kind !== 'rom' };
  }
}

test.each([1, 2, 3, 4])('ranges with any overlap match a byte-by-byte model, seed %i', seed => {
  const model = new Model(seed);
  for (let step = 0; step < 400; step++) {
    model.step();
    for (let access = 0; access < 30; access++) model.access();
    model.reach();
    if (step % 20 === 0) model.pages();
  }
});
