import type { Bus, BusRange } from '../bus.ts';
import type { IoHandler } from '../device.ts';
import type { DeviceMemory } from '../device-memory.ts';
import type { ConfigSpace } from './config-space.ts';
import { BAR_TYPE, REG } from './registers.ts';

export type BarKind = 'memory32' | 'memory64' | 'io';

export type BarOptions = {
  readonly kind: BarKind;
  /** Bytes or ports: a power of two, at least 16 (4 for ports). */
  readonly size: number;
  readonly prefetchable?: boolean;
  /** The BAR has moved to another address (null if it is unmapped). */
  readonly onMoved?: (address: number | null) => void;
} & BarContent;

/**
 * The content of a BAR: registers that a model handles; memory of the BAR's size, which the guest reaches directly; or
 * a mix of both.
 */
export type BarContent =
  | { readonly handler: IoHandler }
  | { readonly memory: DeviceMemory }
  | { readonly parts: BarParts };

/** The parts of a mixed BAR. */
export interface BarParts {
  /** Maps all of it at `start`, for the first time. */
  show(device: string, bus: Bus, start: number): BusRange;
}

/** The index of a function's expansion ROM. */
export const ROM_BAR = 6;
/** In its register: whether the ROM is decoded (PCI Local Bus 3.0 §6.2.5.2). */
const ROM_ENABLE = 1;

/** A BAR whose last byte would be at or above this address is not mapped. */
const LIMIT = { io: 2 ** 16 - 1, memory32: 2 ** 32 - 1, memory64: 2 ** 52 - 1 } as const;

/** One base address register: its bits in configuration space, and the range that it maps into a bus. */
export class Bar {
  readonly index: number;
  readonly kind: BarKind;
  readonly size: number;
  readonly prefetchable: boolean;
  readonly #name: string;
  readonly #options: BarOptions;
  readonly #config: ConfigSpace;
  readonly #offset: number;
  #range: BusRange | null = null;
  #address: number | null = null;

  constructor(name: string, index: number, config: ConfigSpace, options: BarOptions) {
    this.#name = name;
    this.index = index;
    this.kind = options.kind;
    this.size = options.size;
    this.prefetchable = options.prefetchable ?? false;
    this.#options = options;
    this.#config = config;
    const least = options.kind === 'io' ? 4 : 16;
    // Without bitwise operators: it may have more than 32 bits.
    if (!(options.size >= least && Number.isInteger(Math.log2(options.size)))) {
      throw new RangeError(
        `BAR ${index} of ${name} has ${options.size} bytes: it takes a power of two, at least ${least}`,
      );
    }
    if ('memory' in options && options.memory.size !== options.size) {
      throw new RangeError(
        `BAR ${index} of ${name} has ${options.size} bytes, its memory ${options.memory.size}`,
      );
    }
    if (index === ROM_BAR) {
      this.#offset = REG.rom;
      config.define(this.#offset, 4, 0, { writable: (-this.size >>> 0) + ROM_ENABLE });
      return;
    }
    this.#offset = REG.bar0 + 4 * index;
    // The read-only low address bits tell the guest the size (PCI Local Bus 3.0 §6.2.5.1).
    const type = BAR_TYPE[this.kind] | (this.prefetchable ? BAR_TYPE.prefetchable : 0);
    const low = this.size >= 2 ** 32 ? 0 : -this.size >>> 0;
    config.define(this.#offset, 4, type, { writable: low });
    if (this.kind === 'memory64') {
      const high = this.size >= 2 ** 32 ? -(this.size / 2 ** 32) >>> 0 : 0xffff_ffff;
      config.define(this.#offset + 4, 4, 0, { writable: high });
    }
  }

  /** The address where the BAR is mapped, or null. */
  get address(): number | null {
    return this.#address;
  }

  get space(): 'port' | 'memory' {
    return this.kind === 'io' ? 'port' : 'memory';
  }

  /** Whether a guest's access to [address, address + size) reaches this BAR, rather than a range mapped over it. */
  answersAt(bus: Bus, address: number): boolean {
    return this.#range !== null && bus.owner(address) === this.#range;
  }

  /**
   * The address in the register; null if it is zero, so high that the guest must be sizing the BAR, or that of a
   * disabled ROM.
   */
  get programmed(): number | null {
    const low = this.#config.u32(this.#offset);
    if (this.index === ROM_BAR && (low & ROM_ENABLE) === 0) return null;
    let address = this.kind === 'io' ? low - (low & 0x3) : low - (low & 0xf);
    if (this.kind === 'memory64') address += this.#config.u32(this.#offset + 4) * 2 ** 32;
    return address === 0 || address + this.size - 1 >= LIMIT[this.kind] ? null : address;
  }

  /** Writes an address to the register, as firmware would. */
  program(address: number): void {
    this.#config.write(this.#offset, 4, address % 2 ** 32);
    if (this.kind === 'memory64') this.#config.write(this.#offset + 4, 4, Math.floor(address / 2 ** 32));
  }

  /** Maps the BAR at `address`; null unmaps it. */
  place(bus: Bus, address: number | null): void {
    if (address === this.#address) return;
    this.#address = address;
    if (address === null) this.#range?.unmap();
    else if (this.#range === null) this.#range = this.#show(bus, address);
    else this.#range.map(address);
    this.#options.onMoved?.(address);
  }

  /** Unmaps the BAR and returns its range: its function is unplugged. */
  release(): void {
    const wasMapped = this.#address !== null;
    this.#address = null;
    this.#range?.remove();
    this.#range = null;
    if (wasMapped) this.#options.onMoved?.(null);
  }

  #show(bus: Bus, address: number): BusRange {
    const options = this.#options;
    if ('memory' in options) return options.memory.show(this.#name, address);
    if ('parts' in options) return options.parts.show(this.#name, bus, address);
    return bus.claim(this.#name, address, this.size, options.handler);
  }
}
