import type { Cancel, Clock, DeviceState } from '../../device.ts';
import { DeviceStateError, numberOf, stateOf } from '../../state.ts';
import { REG } from './registers.ts';

/** The units of the delay timers and of interrupt throttling, in nanoseconds. */
const DELAY_NS = 1024;
const THROTTLE_NS = 256;
/** The longest time of any of a card's timers: 16 bits of the larger unit. */
const MAX_NS = 0x1_0000 * DELAY_NS;

/** A pair of delay timers: one restarts with each event, the other limits the wait since the first one. */
class Delay {
  /** When it ends; 0 if it is not running. */
  at = 0;
  /** The latest time for that. */
  #limit = 0;

  /** @param packet @param absolute in units of the timers; 0 in `absolute` for no limit */
  start(now: number, packet: number, absolute: number): void {
    if (this.at === 0) this.#limit = absolute === 0 ? Infinity : now + absolute * DELAY_NS;
    this.at = Math.min(now + packet * DELAY_NS, this.#limit);
  }

  stop(): void {
    this.at = 0;
    this.#limit = 0;
  }

  /** Stops it if it is running, and its time has come. @returns whether that is so */
  ends(now: number): boolean {
    if (this.at === 0 || this.at > now) return false;
    this.stop();
    return true;
  }

  save(): DeviceState {
    return { at: this.at, limit: Number.isFinite(this.#limit) ? this.#limit : 0 };
  }

  load(state: DeviceState, now: number): void {
    const [at, limit] = [deadlineOf(state, 'at', now), deadlineOf(state, 'limit', now)];
    this.at = at;
    this.#limit = at !== 0 && limit === 0 ? Infinity : limit;
  }
}

export type ModerationParts = {
  readonly words: Uint32Array;
  readonly clock: Clock;
  /** The number of throttles: interrupts that have an interval of their own. */
  readonly throttles: number;
  /** Delays have ended, or a throttled interrupt may be sent. */
  readonly expired: (receive: boolean, transmit: boolean) => void;
};

/**
 * The moderation of a card's interrupts (§13.4.18, §13.4.30-31, §13.4.44-45): delays before a cause is set, and minimum
 * intervals between interrupts. Times are nanoseconds of the machine's clock.
 */
export class Moderation {
  readonly #parts: ModerationParts;
  readonly #receive = new Delay();
  readonly #transmit = new Delay();
  /** By throttle: no interrupt before this time, and whether one waits for it. */
  readonly #quietUntil: Float64Array;
  readonly #isWaiting: Uint8Array;
  #isRunning = true;
  #cancel: Cancel | null = null;
  #timerAt = 0;

  constructor(parts: ModerationParts) {
    this.#parts = parts;
    this.#quietUntil = new Float64Array(parts.throttles);
    this.#isWaiting = new Uint8Array(parts.throttles);
  }

  /** A frame has been received: starts RDTR and RADV. @returns false if there is no delay */
  received(): boolean {
    const { words } = this.#parts;
    const delay = words[REG.RDTR]!;
    if (delay === 0) return false;
    this.#receive.start(this.#now(), delay, words[REG.RADV]!);
    this.#setTimer();
    return true;
  }

  /**
   * A descriptor has been written back: starts TIDV and TADV, if its cause may be delayed (IDE). @returns false if
   * there is no delay
   */
  sent(delayed: boolean): boolean {
    const { words } = this.#parts;
    const delay = words[REG.TIDV]!;
    if (!delayed || delay === 0) {
      this.#transmit.stop();
      return false;
    }
    this.#transmit.start(this.#now(), delay, words[REG.TADV]!);
    this.#setTimer();
    return true;
  }

  /** The driver cuts a delay short (FPD). */
  flush(direction: 'receive' | 'transmit'): void {
    const delay = direction === 'receive' ? this.#receive : this.#transmit;
    if (delay.at === 0) return;
    delay.stop();
    this.#parts.expired(direction === 'receive', direction === 'transmit');
  }

  /**
   * Whether an interrupt may be sent now; it then starts the throttle. Otherwise `expired` is called when it may be.
   * @param interval in units of ITR
   */
  opens(throttle: number, interval: number): boolean {
    if (!this.#isRunning) return false;
    if (interval > 0) {
      const now = this.#now();
      if (now < this.#quietUntil[throttle]!) {
        this.#isWaiting[throttle] = 1;
        this.#setTimer();
        return false;
      }
      this.#quietUntil[throttle] = now + interval * THROTTLE_NS;
    }
    this.#isWaiting[throttle] = 0;
    return true;
  }

  reset(): void {
    this.#receive.stop();
    this.#transmit.stop();
    this.#quietUntil.fill(0);
    this.#isWaiting.fill(0);
    this.#stopTimer();
  }

  quiesce(): void {
    this.#isRunning = false;
    this.#stopTimer();
  }

  resume(): void {
    this.#isRunning = true;
    this.#parts.expired(false, false);
    this.#setTimer();
  }

  save(): DeviceState {
    const quiet = Array.from(this.#quietUntil, (at, throttle) => [quietKey(throttle), at]);
    return {
      receive: this.#receive.save(),
      transmit: this.#transmit.save(),
      ...(Object.fromEntries(quiet) as Record<string, number>),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const now = this.#now();
    const quiet = Array.from(this.#quietUntil, (_, throttle) => deadlineOf(state, quietKey(throttle), now));
    this.#receive.load(stateOf(state, 'receive'), now);
    this.#transmit.load(stateOf(state, 'transmit'), now);
    this.#quietUntil.set(quiet);
    this.#isWaiting.fill(0);
    this.#stopTimer();
  }

  #now(): number {
    return Number(this.#parts.clock.now());
  }

  /** Sets the timer to the earliest deadline. */
  #setTimer(): void {
    if (!this.#isRunning) return;
    let first = Infinity;
    if (this.#receive.at > 0) first = this.#receive.at;
    if (this.#transmit.at > 0) first = Math.min(first, this.#transmit.at);
    for (const [throttle, at] of this.#quietUntil.entries())
      if (this.#isWaiting[throttle] === 1) first = Math.min(first, at);
    if (this.#cancel !== null && first === this.#timerAt) return;
    this.#stopTimer();
    if (first === Infinity) return;
    this.#timerAt = first;
    this.#cancel = this.#parts.clock.at(BigInt(Math.ceil(first)), () => this.#expire());
  }

  #stopTimer(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #expire(): void {
    this.#cancel = null;
    const now = this.#now();
    for (const [throttle, at] of this.#quietUntil.entries()) if (at <= now) this.#isWaiting[throttle] = 0;
    const [receive, transmit] = [this.#receive.ends(now), this.#transmit.ends(now)];
    this.#parts.expired(receive, transmit);
    this.#setTimer();
  }
}

/** A deadline of one of the card's timers; 0 for none. @throws DeviceStateError */
function deadlineOf(state: DeviceState, key: string, now: number): number {
  const at = numberOf(state, key);
  if (at <= now + MAX_NS) return at;
  throw new DeviceStateError(key, 'time of a timer');
}

function quietKey(throttle: number): string {
  return throttle === 0 ? 'quietUntil' : `quietUntil${throttle}`;
}
