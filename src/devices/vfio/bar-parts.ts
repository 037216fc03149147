import type { Bus, BusRange } from '../bus.ts';
import type { AccessSize, IoHandler } from '../device.ts';
import type { DeviceMemory } from '../device-memory.ts';
import { PAGE, type Part, withoutPages } from '../host-block.ts';
import type { BarParts } from '../pci/bar.ts';
import type { HostRegion } from './host-device.ts';
import { RegionAccess } from './region-access.ts';
import { type Trap, TrappedAccess } from './traps.ts';

type Mapping = {
  readonly offset: number;
  readonly memory: DeviceMemory;
  /** Null until the guest has accessed it. */
  range: BusRange | null;
};

/**
 * A BAR of a passed-through function: the guest reaches the mappable parts directly, except for pages with a trap;
 * other accesses are reads and writes of the region. If the BAR is smaller than a page, its page is mapped if the guest
 * has placed it at the start of a page.
 */
export class PassedBar implements BarParts, IoHandler {
  readonly #region: HostRegion;
  readonly #access: IoHandler;
  readonly #mappable: boolean;
  readonly #traps: Trap[] = [];
  readonly #onAccess: () => void;
  #mappings: Mapping[] | null = null;
  #shown: ShownBar | null = null;
  #trapped = false;

  /**
   * @param mappable false if every access exits
   * @param onAccess called when a guest's access has exited
   */
  constructor(
    region: HostRegion,
    {
      mappable,
      onAccess,
      onError,
    }: { mappable: boolean; onAccess: () => void; onError: (error: Error) => void },
  ) {
    this.#region = region;
    this.#access = new TrappedAccess(new RegionAccess(region, onError), this.#traps);
    this.#mappable = mappable;
    this.#onAccess = onAccess;
  }

  /** Only before the BAR is first mapped. Of overlapping traps the first handles an access. */
  addTrap(trap: Trap): void {
    this.#traps.push(trap);
  }

  /** Bytes that the guest now reaches without an exit. */
  get mapped(): number {
    if (this.#shown?.isDirect !== true) return 0;
    const bytes = (this.#mappings ?? []).reduce((sum, { memory }) => sum + memory.size, 0);
    return Math.min(bytes, this.#region.size);
  }

  /** Whether every access exits. */
  set trapped(trapped: boolean) {
    if (trapped === this.#trapped) return;
    this.#trapped = trapped;
    const shown = this.#shown;
    if (shown?.mapped === true) shown.map(shown.start);
  }

  show(device: string, bus: Bus, start: number): BusRange {
    this.#mappings ??= this.#map();
    const rest = bus.claim(device, start, this.#region.size, this);
    this.#shown = new ShownBar(device, rest, this.#mappings, () => this.#trapped);
    this.#shown.map(start);
    return this.#shown;
  }

  /** Releases what is mapped into this process. */
  release(): void {
    for (const { memory } of this.#mappings ?? []) memory.release();
    this.#mappings = null;
    this.#shown = null;
  }

  /** A guest's read that exits. */
  read(offset: number, size: AccessSize): number {
    this.#onAccess();
    return this.#access.read(offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#onAccess();
    this.#access.write(offset, size, value);
  }

  #map(): Mapping[] {
    if (!this.#mappable) return [];
    const pieces = this.#region.mappable.flatMap(area => this.#withoutTraps(area));
    return pieces.map(({ offset, size }) => ({
      offset,
      memory: this.#region.map(offset, size),
      range: null,
    }));
  }

  /** The parts of an area without the pages that have traps. */
  #withoutTraps(area: Part): Part[] {
    return this.#traps.reduce<Part[]>(
      (parts, { start, size }) => withoutPages(parts, { offset: start, size }),
      [area],
    );
  }
}

/** All ranges of a BAR, which move together. */
class ShownBar implements BusRange {
  readonly #device: string;
  readonly #rest: BusRange;
  readonly #mappings: readonly Mapping[];
  readonly #isTrapped: () => boolean;
  #start: number;
  #mapped = false;
  #isDirect = false;

  constructor(device: string, rest: BusRange, mappings: readonly Mapping[], isTrapped: () => boolean) {
    this.#device = device;
    this.#rest = rest;
    this.#start = rest.start;
    this.#mappings = mappings;
    this.#isTrapped = isTrapped;
  }

  get start(): number {
    return this.#start;
  }

  get size(): number {
    return this.#rest.size;
  }

  get mapped(): boolean {
    return this.#mapped;
  }

  /** Whether the guest reaches the mappable parts without an exit. */
  get isDirect(): boolean {
    return this.#mapped && this.#isDirect;
  }

  map(start: number): void {
    this.#start = start;
    this.#mapped = true;
    this.#isDirect = !this.#isTrapped() && start % PAGE === 0;
    // Memory first, so that it is above the rest.
    this.#rest.unmap();
    for (const mapping of this.#mappings) {
      if (this.#isDirect) this.#show(mapping);
      else mapping.range?.unmap();
    }
    // The page of a small BAR is below everything else, and handles what exits there itself.
    const isWhole = this.#isDirect && this.size < PAGE && this.#mappings.length > 0;
    if (!isWhole) this.#rest.map(start);
  }

  unmap(): void {
    this.#mapped = false;
    for (const { range } of this.#mappings) range?.unmap();
    this.#rest.unmap();
  }

  remove(): void {
    this.#mapped = false;
    for (const mapping of this.#mappings) {
      mapping.range?.remove();
      mapping.range = null;
    }
    this.#rest.remove();
  }

  #show(mapping: Mapping): void {
    const at = this.#start + mapping.offset;
    if (mapping.range === null) mapping.range = mapping.memory.show(this.#device, at);
    else mapping.range.map(at);
  }
}
