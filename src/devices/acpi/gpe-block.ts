import type { AccessSize, DeviceState, InterruptLine, IoHandler } from '../device.ts';
import { numberOf } from '../state.ts';

/** Two bytes each of status and enable bits (ACPI 6.5 §4.8.4.1). */
const REG = { status: 0, enable: 2, size: 4 } as const;
const EVENTS = 8 * (REG.size / 2);
const ALL = 2 ** EVENTS - 1;

/** The general-purpose event block GPE0: event n makes the guest run the method `\_GPE._Enn` or `_Lnn`. */
export class GpeBlock implements IoHandler {
  static readonly size = REG.size;
  readonly #sci: InterruptLine;
  #status = 0;
  #enable = 0;

  /** @param sci the wire of the system control interrupt */
  constructor(sci: InterruptLine) {
    this.#sci = sci;
  }

  /** Whether the guest has enabled `event`. */
  enabled(event: number): boolean {
    return ((this.#enable >>> event) & 1) === 1;
  }

  raise(event: number): void {
    this.#status |= 1 << event;
    this.#update();
  }

  read(offset: number, size: AccessSize): number {
    const registers = (this.#status | (this.#enable << 16)) >>> 0;
    const mask = size === 4 ? 0xffff_ffff : 2 ** (8 * size) - 1;
    return ((registers >>> (8 * offset)) & mask) >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.#writeByte(offset + i, (value >>> (8 * i)) & 0xff);
    this.#update();
  }

  reset(): void {
    this.#status = 0;
    this.#enable = 0;
    this.#update();
  }

  save(): DeviceState {
    return { status: this.#status, enable: this.#enable };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.#status = numberOf(state, 'status', ALL);
    this.#enable = numberOf(state, 'enable', ALL);
    this.#update();
  }

  /** A write of 1 clears a status bit. */
  #writeByte(offset: number, value: number): void {
    const shift = 8 * (offset & 1);
    if (offset < REG.enable) this.#status &= ~(value << shift);
    else this.#enable = (this.#enable & ~(0xff << shift)) | (value << shift);
  }

  #update(): void {
    this.#sci.set((this.#status & this.#enable) !== 0);
  }
}
