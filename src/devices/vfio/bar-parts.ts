import type { Bus, BusRange } from '../bus.ts';
import type { AccessSize, IoHandler } from '../device.ts';
import type { DeviceMemory } from '../device-memory.ts';
import { PAGE, type Part, withoutPages } from '../host-block.ts';
import type { BarParts } from '../pci/bar.ts';
import type { HostRegion } from './host-device.ts';
import { RegionAccess } from './region-access.ts';
import { type Trap, TrappedAccess } from './traps.ts';

type Mapping = { readonly offset: number; readonly memory: DeviceMemory; range: BusRange | null };

/**
 * A BAR of a passed-through function: what can be mapped the guest reaches directly, except for pages with a trap; the rest are
 * reads and writes of the region.
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
   * @param mappable false: every access exits
   * @param onAccess a guest's access has exited
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

  /** Before the BAR is first shown. Of traps that overlap the first answers. */
  addTrap(trap: Trap): void {
    this.#traps.push(trap);
  }

  /** Bytes that the guest reaches without an exit now. */
  get mapped(): number {
    if (this.#trapped || this.#shown?.mapped !== true) return 0;
    return (this.#mappings ?? []).reduce((sum, { memory }) => sum + memory.size, 0);
  }

  /** Makes every access exit, or no longer. */
  set trapped(trapped: boolean) {
    if (trapped === this.#trapped) return;
    this.#trapped = trapped;
    const shown = this.#shown;
    if (shown?.mapped !== true) return;
    if (trapped) shown.unmapMemory();
    else shown.map(shown.start);
  }

  show(device: string, bus: Bus, start: number): BusRange {
    this.#mappings ??= this.#map();
    // Of ranges with the same priority the one mapped first is seen.
    for (const mapping of this.#mappings) {
      mapping.range = mapping.memory.show(device, start + mapping.offset);
      if (this.#trapped) mapping.range.unmap();
    }
    const rest = bus.claim(device, start, this.#region.size, this);
    this.#shown = new ShownBar(rest, this.#mappings, () => this.#trapped);
    return this.#shown;
  }

  /** Gives back what is mapped into this process. */
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

  /** The parts of an area that no page with a trap is in. */
  #withoutTraps(area: Part): Part[] {
    const whole = {
      offset: area.offset,
      size: Math.min(area.size, wholePages(this.#region.size) - area.offset),
    };
    return this.#traps.reduce(
      (parts, { start, size }) => withoutPages(parts, { offset: start, size }),
      whole.size > 0 ? [whole] : [],
    );
  }
}

/** All ranges of a BAR, which move together. */
class ShownBar implements BusRange {
  readonly #rest: BusRange;
  readonly #mappings: readonly Mapping[];
  readonly #isTrapped: () => boolean;

  constructor(rest: BusRange, mappings: readonly Mapping[], isTrapped: () => boolean) {
    this.#rest = rest;
    this.#mappings = mappings;
    this.#isTrapped = isTrapped;
  }

  get start(): number {
    return this.#rest.start;
  }

  get size(): number {
    return this.#rest.size;
  }

  get mapped(): boolean {
    return this.#rest.mapped;
  }

  map(start: number): void {
    // Memory first, so that it is above the rest.
    this.#rest.unmap();
    if (!this.#isTrapped()) for (const { range, offset } of this.#mappings) range?.map(start + offset);
    this.#rest.map(start);
  }

  unmapMemory(): void {
    for (const { range } of this.#mappings) range?.unmap();
  }

  unmap(): void {
    this.unmapMemory();
    this.#rest.unmap();
  }

  remove(): void {
    for (const mapping of this.#mappings) {
      mapping.range?.remove();
      mapping.range = null;
    }
    this.#rest.remove();
  }
}

function wholePages(bytes: number): number {
  return Math.floor(bytes / PAGE) * PAGE;
}
