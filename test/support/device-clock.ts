import type { Cancel, Clock } from '../../src/devices/device.ts';

const MS = 1_000_000n;

/** A device's clock that only moves when the test moves it; both of its scales move together. */
export class DeviceClock implements Clock {
  #now = 1_000_000_000n;
  #wall: number;
  #timers: { deadline: bigint; callback: () => void }[] = [];

  constructor(wall = Date.UTC(2024, 1, 28, 23, 59, 58)) {
    this.#wall = wall;
  }

  now = (): bigint => this.#now;
  wallMs = (): number => this.#wall;

  at(deadline: bigint, callback: () => void): Cancel {
    const timer = { deadline, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter(other => other !== timer);
    };
  }

  get timers(): number {
    return this.#timers.length;
  }

  /** Advances by `ms`, one millisecond at a time, calling timers as they become due. */
  advance(ms: number): void {
    for (let i = 0; i < ms; i++) {
      this.#now += MS;
      this.#wall += 1;
      const due = this.#timers.filter(timer => timer.deadline <= this.#now);
      this.#timers = this.#timers.filter(timer => timer.deadline > this.#now);
      for (const timer of due) timer.callback();
    }
  }

  /** Jumps ahead by `ns`; timers that became due fire afterward. */
  jump(ns: bigint): void {
    this.#now += ns - MS;
    this.#wall += Number(ns / MS) - 1;
    this.advance(1);
  }
}
