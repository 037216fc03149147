import { AccessMap, type AccessTarget, type RegionCounters } from './access-map.ts';
import type { IoHandler } from './device.ts';
import { visible } from './overlay.ts';

export type { RegionCounters } from './access-map.ts';

/** The label of a region of the counters: one range of ports or memory, at its first address. */
export type RegionLabel = {
  readonly device: string;
  readonly space: 'port' | 'memory';
  readonly start: number;
  readonly size: number;
};

/** The device name under which unclaimed accesses are counted. */
export const UNCLAIMED = 'unclaimed';

export type BusOptions = {
  /** Called once per range, when it is claimed, and once for unclaimed accesses. */
  readonly counters: (label: RegionLabel) => RegionCounters;
};

/** An address space in which devices claim ranges: the ports, or the memory, of one machine. */
export interface Bus {
  readonly space: 'port' | 'memory';
  /** Claims a new range, mapped at `start`. */
  claim(device: string, start: number, size: number, handler: IoHandler): BusRange;
  /** The range that handles a one-byte access to `address`, or null. */
  owner(address: number): BusRange | null;
}

/** One device model's claim to `size` ports or bytes of memory, which can move. */
export interface BusRange {
  /** The address of the range; its last address if it is unmapped. */
  readonly start: number;
  readonly size: number;
  readonly mapped: boolean;
  /** Maps or moves the range to `start`. */
  map(start: number): void;
  unmap(): void;
  /** Removes the range for good, and releases its counters. */
  remove(): void;
}

const PORTS = 2 ** 16;

/**
 * The port space of one machine: maps ports to device models.
 *
 * A guest can move BARs on top of anything, so overlaps are no error: of the ranges that contain a port, the one mapped
 * first answers.
 */
export class PortBus extends AccessMap<PortTarget> implements Bus {
  readonly space = 'port';
  readonly #counters: BusOptions['counters'];
  /** Mapped ranges, oldest first. */
  readonly #mapped: PortRange[] = [];

  constructor({ counters }: BusOptions) {
    super(counters({ device: UNCLAIMED, space: 'port', start: 0, size: PORTS }));
    this.#counters = counters;
  }

  claim(device: string, start: number, size: number, handler: IoHandler): BusRange {
    const counters = this.#counters({ device, space: 'port', start, size });
    const range = new PortRange(this, start, size, handler, counters);
    range.map(start);
    return range;
  }

  owner(port: number): BusRange | null {
    return this.targetAt(port)?.range ?? null;
  }

  /** @internal for PortRange: maps `range` at its `start`, with lower priority than earlier ranges. */
  insert(range: PortRange): void {
    this.#mapped.push(range);
    this.#rebuild();
  }

  /** @internal for PortRange. */
  withdraw(range: PortRange): void {
    this.#mapped.splice(this.#mapped.indexOf(range), 1);
    this.#rebuild();
  }

  #rebuild(): void {
    this.setSegments(
      visible(this.#mapped).map(({ start, end, range }) => {
        const { handler, counters } = range;
        return { start, end, target: { base: range.start, handler, counters, range } };
      }),
    );
  }
}

type PortTarget = AccessTarget & { readonly range: PortRange };

class PortRange implements BusRange {
  readonly size: number;
  readonly handler: IoHandler;
  readonly counters: RegionCounters;
  readonly #bus: PortBus;
  #start: number;
  #mapped = false;
  #removed = false;

  constructor(bus: PortBus, start: number, size: number, handler: IoHandler, counters: RegionCounters) {
    this.#bus = bus;
    this.#start = start;
    this.size = size;
    this.handler = handler;
    this.counters = counters;
  }

  get start(): number {
    return this.#start;
  }

  get mapped(): boolean {
    return this.#mapped;
  }

  map(start: number): void {
    if (this.#removed) throw new Error(`the ports from 0x${this.#start.toString(16)} on have been removed`);
    if (this.#mapped && this.#start === start) return;
    this.unmap();
    this.#start = start;
    this.#mapped = true;
    this.#bus.insert(this);
  }

  unmap(): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    this.#bus.withdraw(this);
  }

  remove(): void {
    if (this.#removed) return;
    this.unmap();
    this.#removed = true;
    this.counters.release();
  }
}
