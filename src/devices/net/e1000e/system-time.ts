import type { Clock, DeviceState } from '../../device.ts';
import { numberOf } from '../../state.ts';
import { REG } from './registers.ts';

/** A cycle of the 25 MHz clock that it counts, in nanoseconds. */
const CYCLE_NS = 40n;
const MAX_64 = 2n ** 64n;
const MAX_32 = 0xffff_ffff;
/** TIMINCA: the increment, and the number of cycles after which it is added. */
const INCREMENT = 0xff_ffff;
const PERIOD_SHIFT = 24;

/** SYSTIM, the time of IEEE 1588 (§10.2.9), which the driver sets and adjusts. Packets are not timestamped. */
export class SystemTime {
  readonly #clock: Clock;
  /** Its value when it was last set, and when that was. */
  #value = 0n;
  #since = 0n;
  #increment = 0;
  /** The upper half, latched when the lower one is read. */
  #high = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Reads one of its registers; null for others. */
  read(register: number): number | null {
    switch (register) {
      case REG.SYSTIML: {
        const now = this.#now;
        this.#high = Number(now >> 32n);
        return Number(now & BigInt(MAX_32));
      }
      case REG.SYSTIMH:
        return this.#high;
      case REG.TIMINCA:
        return this.#increment;
      default:
        return null;
    }
  }

  write(register: number, value: number): void {
    const now = this.#now;
    if (register === REG.SYSTIML) this.#set((now & ~BigInt(MAX_32)) | BigInt(value));
    else if (register === REG.SYSTIMH) {
      this.#high = value;
      this.#set((BigInt(value) << 32n) | (now & BigInt(MAX_32)));
    } else if (register === REG.TIMINCA) {
      this.#set(now);
      this.#increment = value;
    }
  }

  reset(): void {
    this.#increment = 0;
    this.#high = 0;
    this.#set(0n);
  }

  /** No time passes for the guest between this and `load`. */
  save(): DeviceState {
    const now = this.#now;
    return {
      low: Number(now & BigInt(MAX_32)),
      high: Number(now >> 32n),
      latched: this.#high,
      increment: this.#increment,
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const [low, high] = [numberOf(state, 'low', MAX_32), numberOf(state, 'high', MAX_32)];
    const [latched, increment] = [numberOf(state, 'latched', MAX_32), numberOf(state, 'increment', MAX_32)];
    this.#high = latched;
    this.#increment = increment;
    this.#set((BigInt(high) << 32n) | BigInt(low));
  }

  get #now(): bigint {
    const period = BigInt(this.#increment >>> PERIOD_SHIFT);
    if (period === 0n) return this.#value;
    const cycles = (this.#clock.now() - this.#since) / CYCLE_NS;
    return (this.#value + (cycles / period) * BigInt(this.#increment & INCREMENT)) % MAX_64;
  }

  #set(value: bigint): void {
    this.#value = value;
    this.#since = this.#clock.now();
  }
}
