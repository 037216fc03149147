import type { Cancel, Clock, DeviceState } from '../../device.ts';
import { DeviceStateError } from '../../state.ts';

/** The timer counts PCI clock cycles. */
const HZ = 33_000_000n;
const NS = 1_000_000_000n;
const RANGE = 2n ** 32n;

/**
 * The general purpose timer (data sheet, sections 6.15 and 6.16): counts up, and interrupts when it reaches the
 * interval.
 */
export class Timer {
  readonly #clock: Clock;
  readonly #interrupt: () => void;
  /** When it was at zero. */
  #start: bigint;
  #interval = 0n;
  #cancel: Cancel | null = null;

  constructor(clock: Clock, interrupt: () => void) {
    this.#clock = clock;
    this.#interrupt = interrupt;
    this.#start = clock.now();
  }

  get count(): number {
    return Number(this.#ticks % RANGE);
  }

  /** Counts from zero on. */
  restart(): void {
    this.#start = this.#clock.now();
    this.schedule(Number(this.#interval));
  }

  /** Interrupts when it reaches the interval, and again after each overflow. @param interval in cycles; 0 for never */
  schedule(interval: number): void {
    this.cancel();
    this.#interval = BigInt(interval);
    if (interval === 0) return;
    const ticks = this.#ticks;
    const round = ticks - (ticks % RANGE);
    const next = round + this.#interval > ticks ? round + this.#interval : round + RANGE + this.#interval;
    const deadline = this.#start + (next * NS + HZ - 1n) / HZ;
    this.#cancel = this.#clock.at(deadline, () => {
      this.#cancel = null;
      this.#interrupt();
      this.schedule(Number(this.#interval));
    });
  }

  /** Stops interrupting until it is scheduled again. */
  cancel(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#interval = 0n;
  }

  save(): DeviceState {
    return { timerStart: this.#start };
  }

  /** @throws DeviceStateError */
  load({ timerStart }: DeviceState): void {
    if (typeof timerStart !== 'bigint' || timerStart < 0n || timerStart >= 2n ** 63n)
      throw new DeviceStateError('timerStart', 'time');
    this.cancel();
    this.#start = timerStart;
  }

  get #ticks(): bigint {
    const since = this.#clock.now() - this.#start;
    return since <= 0n ? 0n : (since * HZ) / NS;
  }
}
