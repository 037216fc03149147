import { isaDevice } from '../acpi/acpi-parts.ts';
import { isaInterrupt, ports } from '../acpi/resources.ts';
import type { Cancel, Clock, Device, DeviceState, InterruptLine, RequestMachine } from '../device.ts';
import type { BuiltinType, CmosBits, CmosRam, PortRange } from '../device-type.ts';
import type { MemoryRegion } from '../guest-memory.ts';
import { bytesOf, DeviceStateError, numberOf } from '../state.ts';
import { type ByteRegisters, byteWide } from './byte-wide.ts';
import { CMOS_SIZE, cmosMemory } from './cmos-memory.ts';
import { IRQ, PORT } from './pc-ports.ts';
import { B_24_HOURS, decodeTime, encodeTime, TIME, TIME_REGISTERS } from './rtc-time.ts';

/** Motorola MC146818A data sheet, "Registers". The alarm registers are interleaved with those of the time. */
const REG = {
  secondsAlarm: 0x01,
  minutesAlarm: 0x03,
  hoursAlarm: 0x05,
  a: 0x0a,
  b: 0x0b,
  c: 0x0c,
  d: 0x0d,
} as const;
const ALARMS = [
  [REG.secondsAlarm, TIME.seconds],
  [REG.minutesAlarm, TIME.minutes],
  [REG.hoursAlarm, TIME.hours],
] as const;

const A_UPDATE_IN_PROGRESS = 0x80;
/** Both divider bits: the chain is held in reset, and the clock is stopped. */
const A_DIVIDER_RESET = 0x60;
const A_RATE = 0x0f;
/** A 32.768 kHz crystal, periodic rate 1024 Hz. */
const A_DEFAULT = 0x26;

const B_SET = 0x80;
const B_PERIODIC = 0x40;
const B_ALARM = 0x20;
const B_UPDATE_ENDED = 0x10;
const B_SQUARE_WAVE = 0x08;
const B_INTERRUPTS = B_PERIODIC | B_ALARM | B_UPDATE_ENDED;

/** The flags of register C are the enable bits of register B. */
const C_INTERRUPT = 0x80;

const D_VALID = 0x80;

/** In an alarm register, values from here on always match. */
const ALARM_ANY = 0xc0;
/** How long before the end of a second an update is in progress: 244 µs notice and 1984 µs, in whole milliseconds. */
const UPDATE_MS = 2;
/** The first update comes this long after the divider is released. */
const DIVIDER_START_MS = 500;
const SECONDS_PER_DAY = 86_400;
const CRYSTAL_HZ = 32_768n;
const NS_PER_MS = 1_000_000n;
const NS_PER_SECOND = 1_000_000_000n;

const INDEX_PORT = 0;
const INDEX_MASK = 0x7f;

export type RtcOptions = {
  /** The index port; the data port follows. */
  readonly port: number;
  readonly line: InterruptLine;
  readonly clock: Clock;
  readonly request: RequestMachine;
  /** Guest time minus host time at the start, in milliseconds; 0 if absent. */
  readonly offsetMs?: number;
  /** Guest RAM, whose size is stored in CMOS RAM for firmware. */
  readonly memory: readonly MemoryRegion[];
};

/**
 * The PC's real-time clock and CMOS RAM. It shows the host's time in UTC plus an offset: the initial one, until the
 * guest sets the time.
 */
export class Rtc implements Device, ByteRegisters, CmosRam {
  readonly name = 'rtc';
  readonly ports: readonly PortRange[];
  readonly #line: InterruptLine;
  readonly #clock: Clock;
  readonly #request: RequestMachine;
  /**
   * Registers 0x0e-0x7f except the century, and the alarm's. The time registers are only valid while the clock is
   * stopped.
   */
  readonly #bytes: Uint8Array;
  #index = 0;
  #a = A_DEFAULT;
  #b = B_24_HOURS;
  #c = 0;
  /** Guest time minus host time, in milliseconds. */
  #offsetMs = 0;
  /** The guest's second, since 1970, in which it began to wait for an update. */
  #awaitingSince = 0;
  #cancelUpdate: Cancel | null = null;
  #cancelPeriodic: Cancel | null = null;
  #quiesced = false;

  constructor(options: RtcOptions) {
    this.ports = [{ start: options.port, size: 2, handler: byteWide(this) }];
    this.#line = options.line;
    this.#clock = options.clock;
    this.#request = options.request;
    this.#offsetMs = options.offsetMs ?? 0;
    this.#bytes = cmosMemory(options.memory);
  }

  /** Sets bits of CMOS RAM before the machine runs. */
  set({ register, mask, value }: CmosBits): void {
    this.#bytes[register] = (this.#bytes[register]! & ~mask) | (value & mask);
  }

  /** The battery preserves the time and RAM; the reset pin clears the interrupts. */
  reset(): void {
    this.#index = 0;
    this.#b &= ~(B_INTERRUPTS | B_SQUARE_WAVE);
    this.#c = 0;
    this.#cancelTimers();
    this.#updateInterrupt();
  }

  quiesce(done: () => void): void {
    this.#quiesced = true;
    this.#cancelTimers();
    done();
  }

  resume(): void {
    this.#quiesced = false;
    this.#schedule();
  }

  readByte(offset: number): number {
    return offset === INDEX_PORT ? 0xff : this.#readRegister(this.#index);
  }

  writeByte(offset: number, value: number): void {
    if (offset === INDEX_PORT) this.#index = value & INDEX_MASK;
    else this.#writeRegister(this.#index, value);
  }

  #readRegister(register: number): number {
    switch (register) {
      case REG.a:
        return this.#a | (this.#updateInProgress ? A_UPDATE_IN_PROGRESS : 0);
      case REG.b:
        return this.#b;
      case REG.c:
        return this.#readFlags();
      case REG.d:
        return D_VALID;
    }
    if (!this.#stopped && TIME_REGISTERS.includes(register)) {
      return encodeTime(register, this.#nowMs(), this.#b);
    }
    return this.#bytes[register]!;
  }

  #writeRegister(register: number, value: number): void {
    switch (register) {
      case REG.a:
        this.#changeMode(value & ~A_UPDATE_IN_PROGRESS, this.#b);
        break;
      case REG.b:
        this.#changeMode(this.#a, value);
        break;
      case REG.c:
      case REG.d:
        break;
      default:
        if (TIME_REGISTERS.includes(register)) this.#writeTime(register, value);
        else this.#bytes[register] = value;
    }
  }

  #readFlags(): number {
    const flags = this.#c;
    this.#c = 0;
    this.#updateInterrupt();
    this.#schedule();
    return flags | (flags & this.#b & B_INTERRUPTS ? C_INTERRUPT : 0);
  }

  #writeTime(register: number, value: number): void {
    if (this.#stopped) {
      this.#bytes[register] = value;
      return;
    }
    const fraction = this.#fractionMs;
    this.#holdTime();
    this.#bytes[register] = value;
    this.#startTime(fraction);
    this.#cancelTimers();
    this.#schedule();
  }

  /** Writes A and B. The clock is stopped while B.SET is on or the divider is held. */
  #changeMode(a: number, b: number): void {
    const wasStopped = this.#stopped;
    const dividerWasHeld = isHeld(this.#a);
    const fraction = dividerWasHeld ? 1000 - DIVIDER_START_MS : this.#fractionMs;
    if (!wasStopped) this.#holdTime();
    this.#a = a;
    // Setting the time aborts an update in progress, and its interrupt.
    this.#b = b & B_SET ? b & ~B_UPDATE_ENDED : b;
    if (wasStopped && !this.#stopped) this.#startTime(fraction);
    this.#cancelTimers();
    this.#schedule();
    this.#updateInterrupt();
  }

  get #stopped(): boolean {
    return (this.#b & B_SET) !== 0 || isHeld(this.#a);
  }

  get #updateInProgress(): boolean {
    return !this.#stopped && this.#fractionMs >= 1000 - UPDATE_MS;
  }

  #nowMs(): number {
    return this.#clock.wallMs() + this.#offsetMs;
  }

  /** Milliseconds into the current second, also for times before 1970, which guests can set. */
  get #fractionMs(): number {
    return this.#nowMs() - this.#second() * 1000;
  }

  #second(): number {
    return Math.floor(this.#nowMs() / 1000);
  }

  /** Stops the clock with the current time in the registers. */
  #holdTime(): void {
    const now = this.#nowMs();
    for (const register of TIME_REGISTERS) this.#bytes[register] = encodeTime(register, now, this.#b);
  }

  /** Starts the clock at the time in the registers, `fractionMs` into that second. */
  #startTime(fractionMs: number): void {
    const time = decodeTime(register => this.#bytes[register]!, this.#b);
    this.#offsetMs = time + fractionMs - this.#clock.wallMs();
  }

  /** Schedules timers for the enabled interrupts that are not already pending. */
  #schedule(): void {
    if (this.#quiesced) return;
    const due = this.#b & ~this.#c;
    if (due & (B_ALARM | B_UPDATE_ENDED) && !this.#stopped) this.#cancelUpdate ??= this.#awaitUpdate();
    if (due & B_PERIODIC) this.#cancelPeriodic ??= this.#awaitPeriod();
  }

  #cancelTimers(): void {
    this.#cancelUpdate?.();
    this.#cancelPeriodic?.();
    this.#cancelUpdate = null;
    this.#cancelPeriodic = null;
  }

  #awaitUpdate(): Cancel {
    this.#awaitingSince = this.#second();
    const untilNext = BigInt(Math.ceil(1000 - this.#fractionMs));
    return this.#clock.at(this.#clock.now() + untilNext * NS_PER_MS, () => {
      this.#cancelUpdate = null;
      // The host's two clocks may differ slightly, so that the second has not ended yet.
      if (this.#second() === this.#awaitingSince) this.#schedule();
      else this.#raise(this.#alarmSince() ? B_ALARM | B_UPDATE_ENDED : B_UPDATE_ENDED);
    });
  }

  #awaitPeriod(): Cancel | null {
    const period = periodNs(this.#a);
    if (period === null) return null;
    const next = (this.#clock.now() / period + 1n) * period;
    return this.#clock.at(next, () => {
      this.#cancelPeriodic = null;
      this.#raise(B_PERIODIC);
    });
  }

  /** Whether a second that has begun since matches the alarm; after a long pause, only the last day counts. */
  #alarmSince(): boolean {
    const now = this.#second();
    const first = Math.max(this.#awaitingSince + 1, now - SECONDS_PER_DAY);
    for (let second = first; second <= now; second++) {
      if (this.#isAlarm(second * 1000)) return true;
    }
    return false;
  }

  #isAlarm(ms: number): boolean {
    return ALARMS.every(([alarm, time]) => {
      const wanted = this.#bytes[alarm]!;
      return wanted >= ALARM_ANY || wanted === encodeTime(time, ms, this.#b);
    });
  }

  #raise(flags: number): void {
    this.#c |= flags;
    this.#updateInterrupt();
    if (flags & this.#b & B_ALARM) this.#request({ kind: 'wake', by: 'rtc' });
    this.#schedule();
  }

  #updateInterrupt(): void {
    this.#line.set((this.#c & this.#b & B_INTERRUPTS) !== 0);
  }

  save(): DeviceState {
    return {
      bytes: this.#bytes.slice(),
      index: this.#index,
      a: this.#a,
      b: this.#b,
      c: this.#c,
      offsetMs: this.#offsetMs,
    };
  }

  load(state: DeviceState): void {
    const bytes = bytesOf(state, 'bytes');
    if (bytes.length !== CMOS_SIZE) throw new DeviceStateError('bytes', `${CMOS_SIZE} bytes`);
    const offsetMs = state.offsetMs;
    if (typeof offsetMs !== 'number' || !Number.isFinite(offsetMs))
      throw new DeviceStateError('offsetMs', 'number');
    this.#bytes.set(bytes);
    this.#offsetMs = offsetMs;
    this.#index = numberOf(state, 'index', INDEX_MASK);
    this.#a = numberOf(state, 'a', 0x7f);
    this.#b = numberOf(state, 'b', 0xff);
    this.#c = numberOf(state, 'c', 0x7f);
    this.#quiesced = true;
    this.#cancelTimers();
    this.#updateInterrupt();
  }

  close(): void {
    this.#cancelTimers();
  }
}

export const rtc: BuiltinType = {
  type: 'rtc',
  title: 'real-time clock',
  description: 'MC146818 clock that shows the time of the host in UTC, with CMOS RAM',
  bus: 'isa',
  builtin: true,
  create: services => {
    const { clock, clockOffsetMs: offsetMs, memory, request } = services;
    const device = new Rtc({
      port: PORT.rtc,
      line: services.interruptLine(IRQ.rtc),
      ...{ clock, request, offsetMs },
      memory: memory.regions,
    });
    const aml = isaDevice('RTC', 'PNP0B00', ports(PORT.rtc, 2), isaInterrupt(IRQ.rtc));
    return { device, ports: device.ports, acpi: { systemBus: aml }, capabilities: { cmos: device } };
  },
};

function isHeld(a: number): boolean {
  return (a & A_DIVIDER_RESET) === A_DIVIDER_RESET;
}

/** The period of the periodic interrupt; null if it is off. Rates 1 and 2 equal 8 and 9 (data sheet, table 5). */
function periodNs(a: number): bigint | null {
  const rate = a & A_RATE;
  if (rate === 0) return null;
  const shift = BigInt(rate <= 2 ? rate + 6 : rate - 1);
  return (NS_PER_SECOND << shift) / CRYSTAL_HZ;
}
