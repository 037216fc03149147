import type { DeviceState } from '../../device.ts';
import { numberOf } from '../../state.ts';
import { fixedBytesOf } from './fixed-bytes.ts';
import { DRIVES, ST0 } from './registers.ts';

/** The controller's idea of the head positions, and what SENSE INTERRUPT STATUS reports about seeks and a reset. */
export class Seeks {
  readonly cylinders = new Uint8Array(DRIVES);
  readonly #signal: (on: boolean) => void;
  /** Drives whose polling after a reset has not been reported yet. */
  #polled = 0;
  /** What it reports for the others: status register 0 after a seek, 0 if there was none. */
  readonly #ends = new Uint8Array(DRIVES);

  /** @param signal asserts or deasserts the interrupt */
  constructor(signal: (on: boolean) => void) {
    this.#signal = signal;
  }

  /** For the main status register: the drives that are seeking, or whose seek has not been reported. */
  get busy(): number {
    return this.#ends.reduce((bits, end, drive) => bits | (end === 0 ? 0 : 1 << drive), 0);
  }

  /** All drives have been polled. */
  polled(): void {
    this.#polled = DRIVES;
    this.#signal(true);
  }

  /** Another command has been received. */
  forgetPolls(): void {
    this.#polled = 0;
  }

  ended(unit: number, cylinder: number, st0: number): void {
    this.cylinders[unit] = cylinder;
    this.#ends[unit] = st0;
    this.#signal(true);
  }

  /** The result of SENSE INTERRUPT STATUS. */
  senseInterrupt(): readonly number[] {
    if (this.#polled > 0) {
      const drive = DRIVES - this.#polled--;
      this.#signal(false);
      return [ST0.polled | drive, this.cylinders[drive]!];
    }
    const unit = this.#ends.findIndex(end => end !== 0);
    if (unit < 0) return [ST0.invalid];
    const end = this.#ends[unit]!;
    this.#ends[unit] = 0;
    this.#signal(this.#ends.some(other => other !== 0));
    return [end, this.cylinders[unit]!];
  }

  /** Drops pending reports. */
  stop(): void {
    this.#polled = 0;
    this.#ends.fill(0);
    this.#signal(false);
  }

  save(): DeviceState {
    return { polled: this.#polled, seekEnds: this.#ends.slice(), cylinders: this.cylinders.slice() };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.#polled = numberOf(state, 'polled', DRIVES);
    this.#ends.set(fixedBytesOf(state, 'seekEnds', DRIVES));
    this.cylinders.set(fixedBytesOf(state, 'cylinders', DRIVES));
  }
}
