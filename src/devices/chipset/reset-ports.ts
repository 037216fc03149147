import type { Device, DeviceState, RequestMachine } from '../device.ts';
import { type ByteRegisters, byteWide } from '../legacy/byte-wide.ts';
import { numberOf } from '../state.ts';

/** ICH9 datasheet §13.7.4: a rising bit 0 resets the processor, bit 1 is the A20 gate, the others are stored. */
const INIT_NOW = 0x01;
const A20 = 0x02;

/** Port 0x92. The A20 gate has no effect, as on a processor without one. */
export class Port92 implements Device, ByteRegisters {
  readonly name = 'port-92';
  readonly handler = byteWide(this);
  readonly #request: RequestMachine;
  #value: number = A20;

  constructor(request: RequestMachine) {
    this.#request = request;
  }

  readByte(): number {
    return this.#value;
  }

  writeByte(_offset: number, value: number): void {
    const rises = (value & ~this.#value & INIT_NOW) !== 0;
    this.#value = value;
    if (rises) this.#request({ kind: 'reset' });
  }

  reset(): void {
    this.#value = A20;
  }

  save(): DeviceState {
    return { value: this.#value };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.#value = numberOf(state, 'value', 0xff);
  }
}

/**
 * Ports 0xb2 and 0xb3 (§13.7.7): a command and a status, by which firmware and SMM communicate; without SMM they are
 * only stored.
 */
export class ApmPorts implements Device, ByteRegisters {
  readonly name = 'apm';
  readonly handler = byteWide(this);
  readonly #values = [0, 0];

  readByte(offset: number): number {
    return this.#values[offset] ?? 0xff;
  }

  writeByte(offset: number, value: number): void {
    if (offset < this.#values.length) this.#values[offset] = value;
  }

  reset(): void {
    this.#values.fill(0);
  }

  save(): DeviceState {
    return { control: this.#values[0]!, status: this.#values[1]! };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.#values[0] = numberOf(state, 'control', 0xff);
    this.#values[1] = numberOf(state, 'status', 0xff);
  }
}
