import type { AccessSize, Device, DeviceState, InterruptLine, IoHandler } from '../../device.ts';
import { stateOf } from '../../state.ts';
import type { NicPort } from '../nic-port.ts';
import type { CardParts } from '../nic-rows.ts';
import { Ne2000 } from './ne2000.ts';

/** Novell's NE2000 on ISA. */
export class Ne2kIsa implements Device, IoHandler {
  readonly name: string;
  readonly #card: Ne2000;
  readonly #port: NicPort;
  readonly #line: InterruptLine;

  constructor({ name, mac, port, line }: CardParts & { readonly line: InterruptLine }) {
    this.name = name;
    this.#port = port;
    this.#line = line;
    this.#card = new Ne2000({ mac, port, interrupt: level => line.set(level), isRealtek: false });
  }

  read(offset: number, size: AccessSize): number {
    return this.#card.read(offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#card.write(offset, size, value);
  }

  reset(): void {
    this.#card.reset();
  }

  quiesce(done: () => void): void {
    this.#port.quiesce();
    done();
  }

  resume(): void {
    this.#port.resume();
    this.#card.transmit();
  }

  save(): DeviceState {
    return { card: this.#card.save(), port: this.#port.save() };
  }

  load(state: DeviceState): void {
    this.#card.load(stateOf(state, 'card'));
    this.#port.load(stateOf(state, 'port'));
  }

  close(): void {
    this.#port.close();
    this.#line.release();
  }
}
