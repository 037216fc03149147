import type { BusRange } from '../../devices/bus.ts';
import type { AccessSize, IoHandler } from '../../devices/device.ts';
import { type HostBlock, PAGE } from '../../devices/host-block.ts';

/** Physical addresses have at most 52 bits (Intel SDM volume 3 §4.1.4): ranges end here. */
export const ADDRESS_LIMIT = 2 ** 52;

/**
 * Determines which of overlapping ranges is visible: the one with the higher number. A BAR that a guest moves onto RAM
 * stays below it, as on a PC, whose host bridge passes only non-RAM addresses on to PCI. `window`: memory that a VGA
 * shows in its legacy window, on top of itself. `page`: the page of a smaller BAR, below other BARs in the same page.
 */
export const PRIORITY = { page: -2, pci: -1, window: -0.5, ram: 0, chipset: 1 } as const;

/** The content of a range. */
export type RangeContent =
  /** RAM of the machine, or memory of a device that the guest accesses directly: a frame buffer, a VFIO BAR. */
  | {
      readonly kind: 'ram' | 'device';
      readonly block: HostBlock;
      readonly offset?: number;
      /** Answers accesses that do not reach it directly; default: the block does. */
      readonly handler?: IoHandler;
    }
  /** Memory that the guest can only read. Its writes go to `onWrite`, or are ignored. */
  | {
      readonly kind: 'rom';
      readonly block: HostBlock;
      readonly offset?: number;
      readonly onWrite?: (offset: number, size: AccessSize, value: number) => void;
    }
  /** A device model. */
  | { readonly kind: 'mmio'; readonly handler: IoHandler }
  /** A part of the content of `of`, wherever that is, and whether or not it is mapped; until it is removed. */
  | { readonly kind: 'alias'; readonly of: MemoryRange; readonly offset?: number };

export type OwnContent = Exclude<RangeContent, { kind: 'alias' }>;

export type RangeOptions = RangeContent & {
  /** For counters and errors: the device's name. */
  readonly name: string;
  /**
   * Guest-physical start. A multiple of a page, like size and offset, unless the range is `mmio` or an alias of one.
   */
  readonly start: number;
  readonly size: number;
  /** @see PRIORITY; default: 0. */
  readonly priority?: number;
  /** Whether it is mapped from the start; default: true. */
  readonly mapped?: boolean;
  /**
   * Whether accesses that reach a handler have their own counters, rather than those of unclaimed ones; default: true.
   */
  readonly counted?: boolean;
};

/** Calls from ranges to their address space. */
export interface RangeOwner {
  /** The range has changed. */
  rangeChanged(): void;
  /** The range is gone. */
  rangeRemoved(range: MemoryRange): void;
  /** An increasing number: the larger one belongs to the range mapped later. */
  nextOrder(): number;
}

/**
 * A range of guest-physical addresses. Changes take effect immediately, or at the end of the address space's `batch`.
 */
export class MemoryRange implements BusRange {
  readonly name: string;
  readonly size: number;
  readonly priority: number;
  readonly content: OwnContent;
  /** The range that `content` belongs to: this one, or for an alias the original, from `sourceOffset` on. */
  readonly source: MemoryRange;
  readonly sourceOffset: number;
  readonly #owner: RangeOwner;
  #start: number;
  #mapped = false;
  #removed = false;
  #order = 0;

  /** @throws RangeError */
  constructor(owner: RangeOwner, options: RangeOptions) {
    const { name, start, size, priority = PRIORITY.ram, mapped = true } = options;
    this.#owner = owner;
    this.name = name;
    this.size = size;
    this.priority = priority;
    this.#start = start;
    if (options.kind === 'alias') {
      const { of, offset = 0 } = options;
      this.#require(
        Number.isSafeInteger(offset) && offset >= 0 && size <= of.size - offset,
        'is not inside its original',
      );
      this.source = of.source;
      this.sourceOffset = of.sourceOffset + offset;
      this.content = of.content;
    } else {
      this.source = this;
      this.sourceOffset = 0;
      this.content = options;
    }
    this.#checkContent();
    this.#checkPlace(start);
    if (mapped) this.map(start);
  }

  get start(): number {
    return this.#start;
  }

  /** Whether the guest sees it at `start`, unless another range is above it. */
  get mapped(): boolean {
    return this.#mapped && !this.source.#removed;
  }

  /** Of two ranges with the same priority, the one mapped first, with the smaller number, is visible. */
  get order(): number {
    return this.#order;
  }

  /** Maps or moves the range. @throws RangeError if it does not fit there */
  map(start: number): void {
    this.#require(!this.#removed, 'has been removed');
    if (this.#mapped && this.#start === start) return;
    this.#checkPlace(start);
    this.#start = start;
    this.#mapped = true;
    this.#order = this.#owner.nextOrder();
    this.#owner.rangeChanged();
  }

  unmap(): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    this.#owner.rangeChanged();
  }

  /** Removes the range for good, with its counters and what its aliases show. */
  remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.#mapped = false;
    this.#owner.rangeRemoved(this);
  }

  #checkContent(): void {
    const { content, size } = this;
    this.#require(Number.isSafeInteger(size) && size > 0, `has ${size} bytes`);
    if (content.kind === 'mmio') return;
    const { block, offset = 0 } = content;
    const isInside = offset >= 0 && offset + this.sourceOffset + size <= block.size;
    this.#require(isInside, `is not inside the block ${block.name}`);
    const isPaged = (offset + this.sourceOffset) % PAGE === 0 && size % PAGE === 0;
    this.#require(isPaged, `is not a multiple of ${PAGE} bytes`);
  }

  #checkPlace(start: number): void {
    const at = `cannot be at 0x${start.toString(16)}`;
    this.#require(Number.isSafeInteger(start) && start >= 0 && start <= ADDRESS_LIMIT - this.size, at);
    this.#require(this.content.kind === 'mmio' || start % PAGE === 0, at);
  }

  #require(condition: boolean, problem: string): void {
    if (!condition) throw new RangeError(`the memory range ${this.name} ${problem}`);
  }
}
