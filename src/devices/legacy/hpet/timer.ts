import type { DeviceState, StateValue } from '../../device.ts';
import { DeviceStateError, numberOf } from '../../state.ts';
import { ROUTES, TICK_NS, TIMER, TIMER_FIXED, TIMER_WRITABLE } from './registers.ts';

const LEGACY_TIMERS = 2;
/** ISA interrupts of the first two timers when they replace the 8254 and the clock (§2.4.2). */
const LEGACY_IRQS = [0, 8] as const;

/** One comparator of the block, as a guest sees it. Ticks are those of the main counter. */
export class HpetTimer {
  readonly #index: number;
  config = 0;
  #comparator = 0n;
  /** For a periodic timer: ticks that are added to the comparator on each match. */
  #period = 0n;
  /** The low half of the comparator has just been set, and the high half may follow. */
  #isFirstHalf = false;

  constructor(index: number) {
    this.#index = index;
    this.reset();
  }

  reset(): void {
    this.config = 0;
    this.#comparator = this.#mask;
    this.#period = 0n;
    this.#isFirstHalf = false;
  }

  /** One half of a register. */
  read(register: number, half: 0 | 1): number {
    if (register === 0) return half === 0 ? this.config | TIMER_FIXED : ROUTES;
    if (register === 8) return Number(BigInt.asUintN(32, this.#comparator >> BigInt(32 * half)));
    return 0;
  }

  write(register: number, half: 0 | 1, value: number): void {
    const isSecondHalf = this.#isFirstHalf && register === 8 && half === 1;
    this.#isFirstHalf = false;
    if (register === 8) this.#setComparator(half, value, isSecondHalf);
    else if (register === 0 && half === 0) this.#configure(value & TIMER_WRITABLE);
  }

  #configure(value: number): void {
    this.config = value;
    this.#comparator &= this.#mask;
    this.#period &= this.#mask;
  }

  /**
   * §2.3.9.2.2: the comparator of a periodic timer is written only after `setValue`, and the period by all writes. A
   * write of 64 bits arrives as two halves.
   */
  #setComparator(half: 0 | 1, value: number, isSecondHalf: boolean): void {
    const set = (old: bigint) => {
      const shift = BigInt(32 * half);
      return ((old & ~(0xffff_ffffn << shift)) | (BigInt(value) << shift)) & this.#mask;
    };
    const sets = (this.config & TIMER.setValue) !== 0 || isSecondHalf;
    if (!this.isPeriodic || sets) this.#comparator = set(this.#comparator);
    if (this.isPeriodic) this.#period = set(this.#period);
    this.#isFirstHalf = half === 0 && sets;
    this.config &= ~TIMER.setValue;
  }

  /** The ISA interrupt or IOAPIC input that it raises; null if it raises none. */
  gsi(isLegacy: boolean): number | null {
    if ((this.config & TIMER.interrupts) === 0) return null;
    if (isLegacy && this.#index < LEGACY_TIMERS) return LEGACY_IRQS[this.#index]!;
    const route = (this.config & TIMER.route) >>> TIMER.routeShift;
    return (ROUTES >>> route) & 1 ? route : null;
  }

  /** The time from `counter` to its next match, in nanoseconds. */
  nextNs(counter: bigint): bigint {
    return (((this.#comparator - counter - 1n) & this.#mask) + 1n) * TICK_NS;
  }

  /** It has matched by `counter`: a periodic timer is set to its next match, and missed ones count as one. */
  matched(counter: bigint): void {
    if ((this.config & TIMER.periodic) === 0 || this.#period === 0n) return;
    const late = (counter - this.#comparator) & this.#mask;
    this.#comparator = (this.#comparator + (late / this.#period + 1n) * this.#period) & this.#mask;
  }

  get isPeriodic(): boolean {
    return (this.config & TIMER.periodic) !== 0;
  }

  get #mask(): bigint {
    return this.config & TIMER.mode32 ? 0xffff_ffffn : 0xffff_ffff_ffff_ffffn;
  }

  save(): DeviceState {
    return { config: this.config, comparator: this.#comparator, period: this.#period };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.config = numberOf(state, 'config', 0xffff) & TIMER_WRITABLE;
    this.#comparator = ticksOf(state, 'comparator') & this.#mask;
    this.#period = ticksOf(state, 'period') & this.#mask;
    this.#isFirstHalf = false;
  }
}

/** @throws DeviceStateError */
export function ticksOf(state: DeviceState, key: string): bigint {
  const value: StateValue | undefined = state[key];
  if (typeof value === 'bigint' && BigInt.asUintN(64, value) === value) return value;
  throw new DeviceStateError(key, 'count of 64 bits');
}
