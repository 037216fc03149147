import type { Cancel, IoHandler } from '../../devices/device.ts';
import type { HostBlock } from '../../devices/host-block.ts';
import type { AddressSpace } from './address-space.ts';
import { blockAccess, storeIn } from './block-access.ts';
import { SHADOW } from './layout.ts';
import { type MemoryRange, PRIORITY } from './memory-range.ts';

/** Where reads and writes of an area go: to RAM, or to what is below it, a ROM or nothing. */
export type ShadowMode = { readonly read: ShadowTarget; readonly write: ShadowTarget };
export type ShadowTarget = 'ram' | 'rom';

export const SHADOW_RAM: ShadowMode = { read: 'ram', write: 'ram' };
export const SHADOW_ROM: ShadowMode = { read: 'rom', write: 'rom' };

/**
 * The areas that a PC's chipset switches individually (PAM0-PAM6 of an MCH, Intel 3 Series Express Chipset datasheet
 * §5.1.21), ascending.
 */
export const SHADOW_AREAS: readonly { readonly start: number; readonly size: number }[] = [
  ...Array.from({ length: 12 }, (_, index) => ({ start: SHADOW.start + index * 0x4000, size: 0x4000 })),
  { start: 0xf_0000, size: 0x1_0000 },
];

/** A part of a ROM at its place in the areas. All numbers are multiples of a page. */
export type ShadowedRom = {
  readonly start: number;
  readonly size: number;
  readonly block: HostBlock;
  /** Its offset in the block. */
  readonly offset: number;
};

/** A ROM as it is read: writes are ignored, or go to the RAM under it. */
type RomRanges = {
  readonly start: number;
  readonly end: number;
  readonly ignoring: MemoryRange;
  readonly filling: MemoryRange;
};

/**
 * Memory from 768 KiB to 1 MiB, where firmware copies itself and option ROMs from ROM into RAM. The chipset selects
 * what the guest sees in each area. A kernel that is booted without firmware sees RAM.
 */
export class Shadow {
  readonly #space: AddressSpace;
  readonly #initial: ShadowMode;
  readonly #modes: ShadowMode[];
  readonly #ram: MemoryRange;
  readonly #readonly: MemoryRange;
  /** Reads as nothing, writes go to RAM. */
  readonly #filling: MemoryRange;
  readonly #fill: IoHandler;
  readonly #roms = new Set<RomRanges>();
  #placed: MemoryRange[] = [];

  /** @param block the RAM that starts at address 0. @param initial the modes at power-on */
  constructor(space: AddressSpace, block: HostBlock, initial: ShadowMode) {
    this.#space = space;
    this.#initial = initial;
    this.#modes = SHADOW_AREAS.map(() => initial);
    const { start, size } = SHADOW;
    const store = storeIn(block, (at, length) => space.memory.writeLog?.wrote(block, at, length));
    this.#fill = { read: () => 0xffff_ffff, write: blockAccess(block, start, store).write };
    const place = { start, size, mapped: false, counted: false } as const;
    const ram = { block, offset: start } as const;
    this.#ram = space.add({ ...place, ...ram, kind: 'ram', name: 'shadow RAM' });
    this.#readonly = space.add({ ...place, ...ram, kind: 'rom', name: 'protected shadow RAM' });
    this.#filling = space.add({ ...place, kind: 'mmio', name: 'unread shadow RAM', handler: this.#fill });
    this.#apply();
  }

  /** @param area index into SHADOW_AREAS */
  mode(area: number): ShadowMode {
    return this.#modes[area]!;
  }

  set(area: number, mode: ShadowMode): void {
    this.setAll(this.#modes.map((old, index) => (index === area ? mode : old)));
  }

  /** @param modes one for each area, or one for all of them */
  setAll(modes: ShadowMode | readonly ShadowMode[]): void {
    const wanted = SHADOW_AREAS.map((_, index) => ('read' in modes ? modes : modes[index]!));
    if (wanted.every((mode, index) => isSame(mode, this.#modes[index]!))) return;
    this.#modes.splice(0, wanted.length, ...wanted);
    this.#apply();
  }

  /** Sets the modes at power-on. */
  reset(): void {
    this.setAll(this.#initial);
  }

  /** Maps `rom` where an area is not RAM. @returns removes it */
  place(rom: ShadowedRom): Cancel {
    const { start, size, block, offset } = rom;
    const content = { kind: 'rom', start, size, block, offset, mapped: false, counted: false } as const;
    const onWrite: IoHandler['write'] = (at, length, value) =>
      this.#fill.write(start - SHADOW.start + at, length, value);
    const ranges = this.#space.batch(() => ({
      start,
      end: start + size,
      ignoring: this.#space.add({ ...content, name: `shadowed ${block.name}` }),
      filling: this.#space.add({ ...content, name: `shadowed ${block.name}`, onWrite }),
    }));
    this.#roms.add(ranges);
    this.#apply();
    return () => {
      this.#roms.delete(ranges);
      this.#space.batch(() => {
        ranges.ignoring.remove();
        ranges.filling.remove();
        this.#apply();
      });
    };
  }

  #apply(): void {
    this.#space.batch(() => {
      for (const range of this.#placed.splice(0)) range.remove();
      for (const { start, end, mode } of this.#runs()) {
        if (mode.read === 'ram') {
          this.#show(mode.write === 'ram' ? this.#ram : this.#readonly, SHADOW.start, start, end);
          continue;
        }
        const fills = mode.write === 'ram';
        if (fills) this.#show(this.#filling, SHADOW.start, start, end);
        for (const rom of this.#roms) {
          const from = Math.max(start, rom.start);
          const to = Math.min(end, rom.end);
          if (from < to) this.#show(fills ? rom.filling : rom.ignoring, rom.start, from, to, 1);
        }
      }
    });
  }

  /** Maps [start, end) of the content of `of`, as if that were at `base`. */
  #show(of: MemoryRange, base: number, start: number, end: number, above = 0): void {
    const priority = PRIORITY.chipset + above;
    const place = { name: of.name, start, size: end - start, offset: start - base, priority };
    this.#placed.push(this.#space.add({ kind: 'alias', of, ...place }));
  }

  /** Neighboring areas with the same mode, merged. */
  #runs(): { readonly start: number; readonly end: number; readonly mode: ShadowMode }[] {
    const runs: { start: number; end: number; mode: ShadowMode }[] = [];
    for (const [index, { start, size }] of SHADOW_AREAS.entries()) {
      const mode = this.#modes[index]!;
      const last = runs.at(-1);
      if (last !== undefined && isSame(last.mode, mode)) last.end = start + size;
      else runs.push({ start, end: start + size, mode });
    }
    return runs;
  }
}

function isSame(a: ShadowMode, b: ShadowMode): boolean {
  return a.read === b.read && a.write === b.write;
}
