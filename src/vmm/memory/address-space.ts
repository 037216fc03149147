import { AccessMap, type AccessTarget } from '../../devices/access-map.ts';
import { type Bus, type BusOptions, type RegionCounters, UNCLAIMED } from '../../devices/bus.ts';
import type { Cancel, IoHandler } from '../../devices/device.ts';
import type { MemoryRegion } from '../../devices/guest-memory.ts';
import { visible } from '../../devices/overlay.ts';
import { type BlockWrite, blockAccess, storeIn } from './block-access.ts';
import { changesBetween, type DirectPiece, directPieces, type MapChanges, spansOf } from './direct-map.ts';
import { ADDRESS_LIMIT, MemoryRange, PRIORITY, type RangeOptions, type RangeOwner } from './memory-range.ts';
import { type Span, SpanMemory } from './span-memory.ts';

/** Follows what the guest accesses without an exit: KVM, queue threads, an IOMMU. */
export interface MapListener {
  /**
   * Called with everything at first, then after each batch that changes something. It must not change the address
   * space.
   * @param spans what device models can now access
   */
  commit(changes: MapChanges, spans: readonly Span[]): void;
}

export type AddressSpaceOptions = BusOptions & {
  /** The installed RAM, for memory maps. */
  readonly ram?: readonly MemoryRegion[];
};

/** How accesses that reach the machine thread are answered. */
type Answer = { readonly handler: IoHandler; readonly counters: RegionCounters };

type Target = AccessTarget & { readonly range: MemoryRange };

const NOT_COUNTED: RegionCounters = { read: () => {}, written: () => {}, release: () => {} };

/**
 * The guest-physical memory of one machine: ranges that can be added, moved and removed while it runs. Where ranges
 * overlap, the one with the highest priority is visible; with equal priorities, the one mapped first.
 *
 * The guest accesses visible ranges with memory directly, by KVM's slots, which follow this. Its other accesses come
 * here, and device models answer them, as do accesses to memory that shares a page with a device model, and writes to a
 * ROM.
 */
export class AddressSpace extends AccessMap<Target> implements Bus, RangeOwner {
  readonly space = 'memory';
  /** The memory as device models access it. */
  readonly memory: SpanMemory;
  readonly #counters: BusOptions['counters'];
  readonly #unclaimed: RegionCounters;
  readonly #ranges = new Set<MemoryRange>();
  /** Keyed by the original of aliases. */
  readonly #answers = new Map<MemoryRange, Answer>();
  readonly #listeners = new Set<MapListener>();
  #pieces: readonly DirectPiece[] = [];
  #order = 0;
  #batches = 0;
  #changed = false;
  #committing = false;

  constructor({ counters, ram = [] }: AddressSpaceOptions) {
    const unclaimed = counters({ device: UNCLAIMED, space: 'memory', start: 0, size: ADDRESS_LIMIT });
    super(unclaimed);
    this.#unclaimed = unclaimed;
    this.#counters = counters;
    this.memory = new SpanMemory(ram);
  }

  /** @throws RangeError if the range is invalid */
  add(options: RangeOptions): MemoryRange {
    return this.batch(() => {
      const range = new MemoryRange(this, options);
      this.#ranges.add(range);
      if (range.source === range) this.#answers.set(range, this.#answer(range, options.counted ?? true));
      return range;
    });
  }

  /** Adds a range of a device behind the PCI host. */
  claim(device: string, start: number, size: number, handler: IoHandler): MemoryRange {
    return this.add({ kind: 'mmio', name: device, start, size, handler, priority: PRIORITY.pci });
  }

  owner(address: number): MemoryRange | null {
    return this.targetAt(address)?.range ?? null;
  }

  /** Changes several ranges in one step: what is the same before and after does not change in between. */
  batch<T>(action: () => T): T {
    this.#batches++;
    try {
      return action();
    } finally {
      this.#batches--;
      if (this.#batches === 0 && this.#changed) this.#commit();
    }
  }

  /** Calls `listener` with the present state, and then with every change. */
  listen(listener: MapListener): Cancel {
    this.#listeners.add(listener);
    listener.commit({ removed: [], added: this.#pieces }, this.memory.spans);
    return () => this.#listeners.delete(listener);
  }

  /** @internal for MemoryRange. */
  rangeChanged(): void {
    if (this.#committing) throw new Error('a listener must not change the address space');
    this.#changed = true;
    if (this.#batches === 0) this.#commit();
  }

  /** @internal for MemoryRange. */
  rangeRemoved(range: MemoryRange): void {
    this.#ranges.delete(range);
    const counters = this.#answers.get(range)?.counters;
    if (counters !== this.#unclaimed) counters?.release();
    this.#answers.delete(range);
    this.rangeChanged();
  }

  /** @internal for MemoryRange. */
  nextOrder(): number {
    return ++this.#order;
  }

  #answer({ name, start, size, content }: MemoryRange, counted: boolean): Answer {
    const counters = counted
      ? () => this.#counters({ device: name, space: 'memory', start, size })
      : () => this.#unclaimed;
    if (content.kind === 'mmio') return { handler: content.handler, counters: counters() };
    const { block, offset = 0 } = content;
    if (content.kind !== 'rom') {
      if (content.handler !== undefined) return { handler: content.handler, counters: NOT_COUNTED };
      const store = storeIn(block, (at, length) => this.memory.writeLog?.wrote(block, at, length));
      return { handler: blockAccess(block, offset, store), counters: NOT_COUNTED };
    }
    const { onWrite } = content;
    if (onWrite === undefined) {
      return { handler: blockAccess(block, offset, () => {}), counters: this.#unclaimed };
    }
    const write: BlockWrite = (at, length, value) => onWrite(at - offset, length, value);
    return { handler: blockAccess(block, offset, write), counters: counters() };
  }

  #commit(): void {
    this.#changed = false;
    const ranges = [...this.#ranges].filter(range => range.mapped);
    const view = visible(ranges.sort((a, b) => b.priority - a.priority || a.order - b.order));
    this.setSegments(
      view.map(({ start, end, range }) => {
        const base = range.start - range.sourceOffset;
        return { start, end, target: { base, ...this.#answers.get(range.source)!, range } };
      }),
    );
    const spans = spansOf(view);
    this.memory.setSpans(spans);
    const { pieces, changes } = changesBetween(this.#pieces, directPieces(view));
    this.#pieces = pieces;
    if (changes.removed.length === 0 && changes.added.length === 0) return;
    this.#committing = true;
    try {
      for (const listener of this.#listeners) listener.commit(changes, spans);
    } finally {
      this.#committing = false;
    }
  }
}
