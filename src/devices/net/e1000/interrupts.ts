import type { Cancel, Clock, DeviceState } from '../../device.ts';
import { booleanOf, DeviceStateError, numberOf, stateOf } from '../../state.ts';
import { CAUSE, CAUSES, REG } from './registers.ts';

/** The units of ITR and of the delay timers, in nanoseconds. */
const ITR_NS = 256;
const DELAY_NS = 1024;
/** The longest time of any of the card's timers: 16 bits of the larger unit. */
const MAX_NS = 0x1_0000 * DELAY_NS;

/** A pair of delay timers: one restarts with each event, the other limits the wait since the first one. */
class Delay {
  /** When its cause will be raised, in nanoseconds; 0 if it will not. */
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

  save(): DeviceState {
    return { at: this.at, limit: Number.isFinite(this.#limit) ? this.#limit : 0 };
  }

  load(state: DeviceState, now: number): void {
    const [at, limit] = [deadlineOf(state, 'at', now), deadlineOf(state, 'limit', now)];
    this.at = at;
    this.#limit = at !== 0 && limit === 0 ? Infinity : limit;
  }
}

/**
 * Interrupt causes, mask and moderation (§13.4.17-21, §13.4.30-31, §13.4.44-45): ICR and IMS are words of the
 * registers. Times are nanoseconds of the machine's clock.
 */
export class Interrupts {
  readonly #words: Uint32Array;
  readonly #clock: Clock;
  readonly #setLine: (level: boolean) => void;
  readonly #receive = new Delay();
  readonly #transmit = new Delay();
  /** The line is not asserted again before this time. */
  #quietUntil = 0;
  #level = false;
  #cancel: Cancel | null = null;
  #timerAt = 0;
  #isRunning = true;

  constructor(words: Uint32Array, clock: Clock, setLine: (level: boolean) => void) {
    this.#words = words;
    this.#clock = clock;
    this.#setLine = setLine;
  }

  raise(causes: number): void {
    this.#words[REG.ICR]! |= causes & CAUSES;
    this.update();
  }

  /** A frame is in memory: raises RXT0 now or after RDTR, no later than RADV. */
  received(): void {
    const delay = this.#words[REG.RDTR]!;
    if (delay === 0) {
      this.raise(CAUSE.RXT0);
      return;
    }
    this.#receive.start(this.#now, delay, this.#words[REG.RADV]!);
    this.#setTimer();
  }

  /** A descriptor that requested a report has been written back: raises TXDW now or, with IDE, after TIDV. */
  sent(delayed: boolean): void {
    const delay = this.#words[REG.TIDV]!;
    if (!delayed || delay === 0) {
      this.#transmit.stop();
      this.raise(CAUSE.TXDW);
      return;
    }
    this.#transmit.start(this.#now, delay, this.#words[REG.TADV]!);
    this.#setTimer();
  }

  /** The driver cuts a delay short (FPD). */
  flush(direction: 'receive' | 'transmit'): void {
    const delay = direction === 'receive' ? this.#receive : this.#transmit;
    if (delay.at === 0) return;
    delay.stop();
    this.raise(direction === 'receive' ? CAUSE.RXT0 : CAUSE.TXDW);
  }

  /** Reads ICR, which clears it. */
  acknowledge(): number {
    const causes = this.#words[REG.ICR]!;
    this.#words[REG.ICR] = 0;
    this.update();
    return causes;
  }

  /** Asserts the line for unmasked causes, as often as ITR allows. Call after ICR, IMS or ITR has changed. */
  update(): void {
    const words = this.#words;
    const asserted = (words[REG.ICR]! & words[REG.IMS]!) !== 0;
    if (!asserted) this.#set(false);
    else if (!this.#level && this.#isRunning) this.#assert();
  }

  reset(): void {
    this.#receive.stop();
    this.#transmit.stop();
    this.#quietUntil = 0;
    this.#stopTimer();
    this.#set(false);
  }

  quiesce(): void {
    this.#isRunning = false;
    this.#stopTimer();
  }

  resume(): void {
    this.#isRunning = true;
    this.update();
    this.#setTimer();
  }

  save(): DeviceState {
    return {
      receive: this.#receive.save(),
      transmit: this.#transmit.save(),
      quietUntil: this.#quietUntil,
      level: this.#level,
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const now = this.#now;
    const level = booleanOf(state, 'level');
    this.#quietUntil = deadlineOf(state, 'quietUntil', now);
    this.#receive.load(stateOf(state, 'receive'), now);
    this.#transmit.load(stateOf(state, 'transmit'), now);
    this.#stopTimer();
    this.#level = level;
    this.#setLine(level);
  }

  get #now(): number {
    return Number(this.#clock.now());
  }

  #assert(): void {
    const interval = this.#words[REG.ITR]! * ITR_NS;
    if (interval === 0) {
      this.#set(true);
      return;
    }
    const now = this.#now;
    if (now < this.#quietUntil) {
      this.#setTimer();
      return;
    }
    this.#quietUntil = now + interval;
    this.#set(true);
  }

  #set(level: boolean): void {
    if (level === this.#level) return;
    this.#level = level;
    this.#setLine(level);
  }

  /** Sets the timer to the earliest deadline. */
  #setTimer(): void {
    if (!this.#isRunning) return;
    const waits = !this.#level && (this.#words[REG.ICR]! & this.#words[REG.IMS]!) !== 0;
    const times = [this.#receive.at, this.#transmit.at, waits ? this.#quietUntil : 0].filter(at => at > 0);
    const first = Math.min(...times);
    if (this.#cancel !== null && first === this.#timerAt) return;
    this.#stopTimer();
    if (times.length === 0) return;
    this.#timerAt = first;
    this.#cancel = this.#clock.at(BigInt(Math.ceil(first)), () => this.#expired());
  }

  #stopTimer(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #expired(): void {
    this.#cancel = null;
    const now = this.#now;
    let causes = 0;
    for (const [delay, cause] of [
      [this.#receive, CAUSE.RXT0],
      [this.#transmit, CAUSE.TXDW],
    ] as const) {
      if (delay.at === 0 || delay.at > now) continue;
      delay.stop();
      causes |= cause;
    }
    this.raise(causes);
    this.#setTimer();
  }
}

/** A deadline of one of the card's timers; 0 for none. @throws DeviceStateError */
function deadlineOf(state: DeviceState, key: string, now: number): number {
  const at = numberOf(state, key);
  if (at <= now + MAX_NS) return at;
  throw new DeviceStateError(key, 'time of a timer');
}
