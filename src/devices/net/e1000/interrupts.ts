import type { Clock, DeviceState } from '../../device.ts';
import { booleanOf } from '../../state.ts';
import type { CardInterrupts } from '../gigabit/card.ts';
import { Moderation } from '../gigabit/moderation.ts';
import { CAUSE } from '../gigabit/registers.ts';
import { CAUSES, REG } from './registers.ts';

/** Interrupt causes and mask (§13.4.17-21): ICR and IMS are words of the registers. */
export class Interrupts implements CardInterrupts {
  readonly #words: Uint32Array;
  readonly #setLine: (level: boolean) => void;
  readonly #moderation: Moderation;
  #level = false;

  constructor(words: Uint32Array, clock: Clock, setLine: (level: boolean) => void) {
    this.#words = words;
    this.#setLine = setLine;
    this.#moderation = new Moderation({
      ...{ words, clock, throttles: 1 },
      expired: (receive, transmit) => this.raise((receive ? CAUSE.RXT0 : 0) | (transmit ? CAUSE.TXDW : 0)),
    });
  }

  raise(causes: number): void {
    this.#words[REG.ICR]! |= causes & CAUSES;
    this.update();
  }

  /** A frame is in memory: raises RXT0 now or after RDTR, no later than RADV. */
  received(): void {
    if (!this.#moderation.received()) this.raise(CAUSE.RXT0);
  }

  /** Few receive descriptors are left. */
  low(): void {
    this.raise(CAUSE.RXDMT0);
  }

  /** A descriptor that requested a report has been written back: raises TXDW now or, with IDE, after TIDV. */
  sent(delayed: boolean): void {
    if (!this.#moderation.sent(delayed)) this.raise(CAUSE.TXDW);
  }

  flush(direction: 'receive' | 'transmit'): void {
    this.#moderation.flush(direction);
  }

  /** Reads ICR, which clears it. */
  acknowledge(): number {
    const causes = this.#words[REG.ICR]!;
    this.#words[REG.ICR] = 0;
    this.update();
    return causes;
  }

  write(register: number, value: number): void {
    const words = this.#words;
    if (register === REG.ICS) this.raise(value);
    else if (register === REG.IMS) words[REG.IMS]! |= value & CAUSES;
    else words[register === REG.IMC ? REG.IMS : REG.ICR]! &= ~value;
    this.update();
  }

  /** Asserts the line for unmasked causes, as often as ITR allows. Call after ICR, IMS or ITR has changed. */
  update(): void {
    const words = this.#words;
    const asserted = (words[REG.ICR]! & words[REG.IMS]!) !== 0;
    if (!asserted) this.#set(false);
    else if (!this.#level && this.#moderation.opens(0, words[REG.ITR]!)) this.#set(true);
  }

  reset(): void {
    this.#moderation.reset();
    this.#set(false);
  }

  quiesce(): void {
    this.#moderation.quiesce();
  }

  resume(): void {
    this.#moderation.resume();
  }

  save(): DeviceState {
    return { ...this.#moderation.save(), level: this.#level };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const level = booleanOf(state, 'level');
    this.#words[REG.ICR]! &= CAUSES;
    this.#words[REG.IMS]! &= CAUSES;
    this.#moderation.load(state);
    this.#level = level;
    this.#setLine(level);
  }

  #set(level: boolean): void {
    if (level === this.#level) return;
    this.#level = level;
    this.#setLine(level);
  }
}
