import type {
  AccessSize,
  Cancel,
  Clock,
  Device,
  DeviceState,
  InterruptLine,
  IoHandler,
} from '../../device.ts';
import { DeviceStateError, numberOf, statesOf } from '../../state.ts';
import { CAPABILITIES, CONFIG, CONFIG_BITS, REG, TICK_NS, TIMER, TIMERS } from './registers.ts';
import { HpetTimer, ticksOf } from './timer.ts';

/** A guest that asks for interrupts at a shorter period, which would take up the machine thread, gets fewer. */
const SHORTEST_PERIOD_NS = 100_000n;
const HALF = 0xffff_ffffn;

export type HpetOptions = {
  readonly name: string;
  readonly clock: Clock;
  /** A new end of the wire to an ISA interrupt or an IOAPIC input. */
  readonly line: (gsi: number) => InterruptLine;
  /** The HPET replaces the 8254, whose interrupt goes to the first timer, or stops doing so. */
  readonly replacePit: (isReplaced: boolean) => void;
};

/**
 * High Precision Event Timers (IA-PC HPET Specification 1.0a): a counter and three comparators, without message
 * interrupts.
 */
export class Hpet implements Device, IoHandler {
  readonly name: string;
  readonly #options: HpetOptions;
  readonly #timers = Array.from({ length: TIMERS }, (_, index) => new HpetTimer(index));
  readonly #cancels: (Cancel | null)[] = new Array<Cancel | null>(TIMERS).fill(null);
  readonly #lines = new Map<number, InterruptLine>();
  #config = 0;
  /** Timers whose level-triggered interrupts are pending. */
  #status = 0;
  /** The counter at `#startedAt`, or its value while stopped. */
  #base = 0n;
  #startedAt = 0n;
  /** The high half of the counter as of when the low half was read. */
  #high: number | null = null;
  #quiesced = false;

  constructor(options: HpetOptions) {
    this.name = options.name;
    this.#options = options;
  }

  reset(): void {
    const wasLegacy = this.#isLegacy;
    this.#config = 0;
    this.#status = 0;
    this.#base = 0n;
    this.#high = null;
    for (const timer of this.#timers) timer.reset();
    if (wasLegacy) this.#options.replacePit(false);
    this.#update();
  }

  quiesce(done: () => void): void {
    this.#quiesced = true;
    this.#schedule();
    done();
  }

  resume(): void {
    this.#quiesced = false;
    this.#schedule();
  }

  /** Accesses are 32 or 64 bits wide (§2.3.1); narrower reads return the requested part. */
  read(offset: number, size: AccessSize): number {
    const value = this.#read(offset & ~3) >>> (8 * (offset & 3));
    return size === 4 ? value : value & (2 ** (8 * size) - 1);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || (offset & 3) !== 0) return;
    const half = ((offset >>> 2) & 1) as 0 | 1;
    const timer = this.#timerAt(offset);
    if (timer !== null) timer.write(offset & (REG.timerSize - 1) & ~7, half, value);
    else if (offset === REG.config) this.#configure(value & CONFIG_BITS);
    else if (offset === REG.status) this.#status &= ~value;
    else if ((offset & ~7) === REG.counter) this.#setCounter(half, value);
    this.#update();
  }

  #read(offset: number): number {
    const half = ((offset >>> 2) & 1) as 0 | 1;
    const high = this.#high;
    this.#high = null;
    const timer = this.#timerAt(offset);
    if (timer !== null) return timer.read(offset & (REG.timerSize - 1) & ~7, half);
    switch (offset) {
      case REG.capabilities:
        return Number(CAPABILITIES & HALF);
      case REG.capabilities + 4:
        return Number(CAPABILITIES >> 32n);
      case REG.config:
        return this.#config;
      case REG.status:
        return this.#status;
      case REG.counter: {
        // A read of 64 bits arrives as two halves.
        const counter = this.#counter;
        this.#high = Number(counter >> 32n);
        return Number(counter & HALF);
      }
      case REG.counter + 4:
        return high ?? Number(this.#counter >> 32n);
      default:
        return 0;
    }
  }

  #timerAt(offset: number): HpetTimer | null {
    return this.#timers[(offset - REG.timers) >> 5] ?? null;
  }

  get #isEnabled(): boolean {
    return (this.#config & CONFIG.enable) !== 0;
  }

  get #isLegacy(): boolean {
    return (this.#config & CONFIG.legacy) !== 0;
  }

  get #counter(): bigint {
    if (!this.#isEnabled) return this.#base;
    const passed = (this.#options.clock.now() - this.#startedAt) / TICK_NS;
    return BigInt.asUintN(64, this.#base + passed);
  }

  /** It cannot be written while it runs (§2.3.7). */
  #setCounter(half: 0 | 1, value: number): void {
    if (this.#isEnabled) return;
    const shift = BigInt(32 * half);
    this.#base = (this.#base & ~(HALF << shift)) | (BigInt(value) << shift);
  }

  #configure(config: number): void {
    const changed = this.#config ^ config;
    this.#base = this.#counter;
    this.#startedAt = this.#options.clock.now();
    this.#config = config;
    if (changed & CONFIG.legacy) this.#options.replacePit(this.#isLegacy);
  }

  /** Called after a register has been written. */
  #update(): void {
    this.#timers.forEach(({ config }, index) => {
      if ((config & TIMER.level) === 0) this.#status &= ~(1 << index);
    });
    const high = new Set<number>();
    this.#timers.forEach((timer, index) => {
      const gsi = timer.gsi(this.#isLegacy);
      if (gsi !== null && this.#isEnabled && (this.#status >>> index) & 1) high.add(gsi);
    });
    for (const gsi of high) this.#line(gsi);
    for (const [gsi, line] of this.#lines) line.set(high.has(gsi));
    this.#schedule();
  }

  #line(gsi: number): InterruptLine {
    const line = this.#lines.get(gsi) ?? this.#options.line(gsi);
    this.#lines.set(gsi, line);
    return line;
  }

  #schedule(): void {
    this.#timers.forEach((timer, index) => {
      this.#cancels[index]?.();
      this.#cancels[index] = null;
      if (this.#quiesced || !this.#isEnabled || timer.gsi(this.#isLegacy) === null) return;
      this.#await(index, timer.nextNs(this.#counter));
    });
  }

  #await(index: number, ns: bigint): void {
    const { clock } = this.#options;
    this.#cancels[index] = clock.at(clock.now() + ns, () => this.#match(index));
  }

  #match(index: number): void {
    this.#cancels[index] = null;
    const timer = this.#timers[index]!;
    const counter = this.#counter;
    timer.matched(counter);
    this.#raise(index, timer);
    const next = timer.nextNs(counter);
    const isHasty = timer.isPeriodic && next < SHORTEST_PERIOD_NS;
    this.#await(index, isHasty ? SHORTEST_PERIOD_NS : next);
  }

  #raise(index: number, timer: HpetTimer): void {
    const gsi = timer.gsi(this.#isLegacy);
    if (gsi === null) return;
    const line = this.#line(gsi);
    line.set(true);
    if (timer.config & TIMER.level) this.#status |= 1 << index;
    else if (!this.#holds(gsi)) line.set(false);
  }

  /** Whether another level-triggered timer asserts the same wire. */
  #holds(gsi: number): boolean {
    return this.#timers.some(
      (timer, index) => (this.#status >>> index) & 1 && timer.gsi(this.#isLegacy) === gsi,
    );
  }

  save(): DeviceState {
    return {
      config: this.#config,
      status: this.#status,
      base: this.#base,
      startedAt: this.#isEnabled ? this.#startedAt : 0n,
      timers: this.#timers.map(timer => timer.save()),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const { startedAt } = state;
    if (typeof startedAt !== 'bigint' || BigInt.asIntN(64, startedAt) !== startedAt)
      throw new DeviceStateError('startedAt', 'time');
    // A machine that was itself loaded may have a start before its clock's.
    if (startedAt > this.#options.clock.now()) throw new DeviceStateError('startedAt', 'time before now');
    const timers = statesOf(state, 'timers', TIMERS);
    this.#config = numberOf(state, 'config', CONFIG_BITS);
    this.#status = numberOf(state, 'status', 2 ** TIMERS - 1);
    this.#base = ticksOf(state, 'base');
    this.#startedAt = startedAt;
    this.#high = null;
    this.#timers.forEach((timer, index) => {
      timer.load(timers[index]!);
    });
    this.#quiesced = true;
    this.#update();
  }

  close(): void {
    for (const cancel of this.#cancels) cancel?.();
  }
}
