import type { DeviceState } from '../../device.ts';
import { DeviceStateError, numberOf } from '../../state.ts';

/** Ports: the index, and the data at the next port or, aligned, at the one after that. */
export const DISPI_PORTS = { start: 0x1ce, size: 3 } as const;

/**
 * Registers of the Bochs display interface (bochs: iodev/display/vga.h, VBE_DISPI_INDEX_*; QEMU:
 * docs/specs/standard-vga).
 */
export const DISPI = {
  id: 0,
  width: 1,
  height: 2,
  bitsPerPixel: 3,
  enable: 4,
  bank: 5,
  virtualWidth: 6,
  virtualHeight: 7,
  xOffset: 8,
  yOffset: 9,
  memory: 10,
  count: 11,
} as const;

export const DISPI_ENABLE = {
  enabled: 0x01,
  capabilities: 0x02,
  dac8: 0x20,
  linear: 0x40,
  keepMemory: 0x80,
} as const;

/** The versions of the interface: the last one has the memory register and 32 bits per pixel. */
const ID = { first: 0xb0c0, last: 0xb0c5 } as const;
const MOST = { width: 16_000, height: 12_000, bitsPerPixel: 32 } as const;
const BANK = 2 ** 16;

/** A mode that the interface sets. Sizes are bytes. */
export type DispiMode = {
  readonly width: number;
  readonly height: number;
  /** 4, 8, 15, 16, 24 or 32. */
  readonly bitsPerPixel: number;
  /** Bytes of a line; with 4 bits per pixel, over all four planes. */
  readonly lineBytes: number;
  readonly start: number;
};

export type DispiEvents = {
  /** The mode has changed. */
  changed(): void;
  /** The interface was enabled: the VGA must be set up for the mode. */
  enabled(mode: DispiMode): void;
  /** Clears the first `bytes` of memory. */
  clear(bytes: number): void;
};

/** The registers with which firmware and drivers set modes of any size. */
export class Dispi {
  readonly #registers = new Uint16Array(DISPI.count);
  readonly #memoryBytes: number;
  readonly #events: DispiEvents;
  #index = 0;
  #mode: DispiMode | null = null;

  constructor(memoryBytes: number, events: DispiEvents) {
    this.#memoryBytes = memoryBytes;
    this.#events = events;
    this.#registers[DISPI.id] = ID.last;
  }

  /** Null if the VGA's own registers are in effect. */
  get mode(): DispiMode | null {
    return this.#mode;
  }

  /** Where the legacy window starts in memory. */
  get bankOffset(): number {
    return this.#mode === null ? 0 : this.#registers[DISPI.bank]! * BANK;
  }

  /** Whether the DAC has 8 bits per color component. */
  get dac8(): boolean {
    return (this.#registers[DISPI.enable]! & DISPI_ENABLE.dac8) !== 0;
  }

  get index(): number {
    return this.#index;
  }

  set index(index: number) {
    this.#index = index & 0xffff;
  }

  read(index: number): number {
    if (index >= DISPI.count) return 0;
    if ((this.#registers[DISPI.enable]! & DISPI_ENABLE.capabilities) !== 0) {
      if (index === DISPI.width) return MOST.width;
      if (index === DISPI.height) return MOST.height;
      if (index === DISPI.bitsPerPixel) return MOST.bitsPerPixel;
    }
    if (index === DISPI.memory) return this.#memoryBytes / BANK;
    if (index === DISPI.virtualHeight && this.#mode !== null)
      return Math.min(Math.floor(this.#memoryBytes / this.#mode.lineBytes), 0xffff);
    return this.#registers[index]!;
  }

  write(index: number, value: number): void {
    switch (index) {
      case DISPI.id:
        if (value >= ID.first && value <= ID.last) this.#registers[index] = value;
        break;
      case DISPI.width:
      case DISPI.height:
      case DISPI.bitsPerPixel:
      case DISPI.virtualWidth:
      case DISPI.xOffset:
      case DISPI.yOffset:
        this.#registers[index] = value;
        if (this.#mode !== null) this.#setMode(index <= DISPI.bitsPerPixel || index === DISPI.virtualWidth);
        break;
      case DISPI.bank: {
        const banks = this.#memoryBytes / BANK / (this.#registers[DISPI.bitsPerPixel] === 4 ? 4 : 1);
        this.#registers[index] = value & (banks - 1);
        this.#events.changed();
        break;
      }
      case DISPI.enable:
        this.#enable(value);
        break;
    }
  }

  reset(): void {
    this.#registers.fill(0);
    this.#registers[DISPI.id] = ID.last;
    this.#index = 0;
    this.#mode = null;
    this.#events.changed();
  }

  save(): DeviceState {
    return { index: this.#index, registers: Array.from(this.#registers) };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const { registers } = state;
    const list = Array.isArray(registers) ? [...registers] : [];
    if (
      list.length !== DISPI.count ||
      !list.every(
        value => typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff,
      )
    )
      throw new DeviceStateError('registers', `list of ${DISPI.count} numbers`);
    this.#index = numberOf(state, 'index', 0xffff);
    this.#registers.set(list as number[]);
    this.#registers[DISPI.bank]! &= this.#memoryBytes / BANK - 1;
    const isOn = (this.#registers[DISPI.enable]! & DISPI_ENABLE.enabled) !== 0;
    this.#mode = isOn ? this.#fixed() : null;
    this.#events.changed();
  }

  #enable(value: number): void {
    const registers = this.#registers;
    const wasOn = (registers[DISPI.enable]! & DISPI_ENABLE.enabled) !== 0;
    const isOn = (value & DISPI_ENABLE.enabled) !== 0;
    registers[DISPI.enable] = value;
    if (isOn && !wasOn) {
      registers[DISPI.bank] = 0;
      registers[DISPI.virtualWidth] = 0;
      registers[DISPI.xOffset] = 0;
      registers[DISPI.yOffset] = 0;
      this.#setMode(true);
      const { lineBytes, height } = this.#mode!;
      if ((value & DISPI_ENABLE.keepMemory) === 0) this.#events.clear(lineBytes * height);
      return;
    }
    if (!isOn) {
      this.#mode = null;
      registers[DISPI.bank] = 0;
    }
    this.#events.changed();
  }

  #setMode(isOther: boolean): void {
    this.#mode = this.#fixed();
    if (isOther) this.#events.enabled(this.#mode);
    this.#events.changed();
  }

  /** The mode in the registers, with invalid values replaced by valid ones. */
  #fixed(): DispiMode {
    const registers = this.#registers;
    const bitsPerPixel = [4, 8, 15, 16, 24, 32].includes(registers[DISPI.bitsPerPixel]!)
      ? registers[DISPI.bitsPerPixel]!
      : 8;
    registers[DISPI.bitsPerPixel] = bitsPerPixel;
    const bits = bitsPerPixel === 15 ? 16 : bitsPerPixel;
    const bytes = (pixels: number) => (pixels * bits) / 8;
    const multiple = (value: number) => Math.min(value & ~7, MOST.width);
    const width = Math.max(8, multiple(registers[DISPI.width]!));
    const virtualWidth = Math.max(width, multiple(registers[DISPI.virtualWidth]!));
    const lineBytes = bytes(virtualWidth);
    const most = Math.max(1, Math.floor(this.#memoryBytes / lineBytes));
    const height = Math.min(Math.max(1, registers[DISPI.height]!), MOST.height, most);
    let x = registers[DISPI.xOffset]!;
    let y = registers[DISPI.yOffset]!;
    const end = () => bytes(x) + (y + height) * lineBytes;
    if (end() > this.#memoryBytes) y = 0;
    if (end() > this.#memoryBytes) x = 0;
    registers[DISPI.width] = width;
    registers[DISPI.height] = height;
    registers[DISPI.virtualWidth] = virtualWidth;
    registers[DISPI.xOffset] = x;
    registers[DISPI.yOffset] = y;
    return { width, height, bitsPerPixel, lineBytes, start: Math.floor(bytes(x)) + y * lineBytes };
  }
}
