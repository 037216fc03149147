import { type Aml, concat, integer, name, packageOf } from '../acpi/aml.ts';
import type {
  AccessSize,
  Cancel,
  Clock,
  Device,
  DeviceState,
  InterruptLine,
  IoHandler,
  RequestMachine,
  StateValue,
  WakeSource,
} from '../device.ts';
import type { BuiltinType, PortRange, PowerButton, SleepControl } from '../device-type.ts';
import type { SleepStates } from '../machine-services.ts';
import { booleanOf, DeviceStateError, numberOf } from '../state.ts';
import { IRQ, PORT } from './pc-ports.ts';

/** The sleep types, here and in \_S3 to \_S5: QEMU's, since firmware and some guests know no others. */
const SLEEP_TYPE = { s3: 1, s4: 2, s5: 0 } as const;
/** The value of \_S5 in earlier versions, which a guest that was started by one has read. */
const EARLIER_S5 = 5;

/** Offsets from the first port: PM1a status, enable and control, and the PM timer (ACPI 6.5 §4.8.3). */
const REG = { status: 0, enable: 2, control: 4, timer: 8, size: 12 } as const;

/** §4.8.3.1.1 and §4.8.3.1.2: the same bits in status and enable. */
const TIMER = 1 << 0;
const GLOBAL_LOCK = 1 << 5;
const POWER_BUTTON = 1 << 8;
/** The alarm of the clock has woken the machine. Raises no event while the machine runs. */
const RTC_ALARM = 1 << 10;
/** In the status only: the machine slept. */
const WAKE = 1 << 15;
const ENABLE_BITS = TIMER | GLOBAL_LOCK | POWER_BUTTON | RTC_ALARM;

/** §4.8.3.2.1. */
const CONTROL_SCI_EN = 1 << 0;
const CONTROL_BM_RLD = 1 << 1;
const SLEEP_TYPE_SHIFT = 10;
const CONTROL_SLEEP_TYPE = 7 << SLEEP_TYPE_SHIFT;
const CONTROL_SLEEP_ENABLE = 1 << 13;
const CONTROL_BITS = CONTROL_BM_RLD | CONTROL_SLEEP_TYPE;

/** The PM timer's ticks per second (§4.8.3.3). */
const TIMER_HZ = 3_579_545n;
const NS_PER_SECOND = 1_000_000_000n;
/** The timer's status is set each time its highest bit, bit 31, changes. */
const HALF_PERIOD = 1n << 31n;

export type AcpiPmOptions = {
  /** First of the twelve ports. */
  readonly port: number;
  /** System control interrupt. */
  readonly sci: InterruptLine;
  readonly clock: Clock;
  readonly request: RequestMachine;
  readonly sleepStates: SleepStates;
};

/** ACPI fixed hardware: the power button, sleep states, and the power management timer. Always in ACPI mode. */
export class AcpiPm implements Device, IoHandler, PowerButton, SleepControl {
  readonly name = 'acpi-pm';
  readonly ports: readonly PortRange[];
  readonly #sci: InterruptLine;
  readonly #clock: Clock;
  readonly #request: RequestMachine;
  readonly #sleepStates: SleepStates;
  #asleep = false;
  #status = 0;
  #enable = 0;
  #control = 0;
  /** Clock value at which the timer was 0, in nanoseconds. */
  #timerStart = 0n;
  /** Half periods of the timer that the status bit has reported. */
  #halvesSeen = 0n;
  #cancelTimer: Cancel | null = null;
  #quiesced = false;

  constructor(options: AcpiPmOptions) {
    this.ports = [{ start: options.port, size: REG.size, handler: this }];
    this.#sci = options.sci;
    this.#clock = options.clock;
    this.#request = options.request;
    this.#sleepStates = options.sleepStates;
    this.reset();
  }

  reset(): void {
    this.#asleep = false;
    this.#status = 0;
    this.#enable = 0;
    this.#control = 0;
    this.#timerStart = this.#clock.now();
    this.#halvesSeen = 0n;
    this.#update();
  }

  quiesce(done: () => void): void {
    this.#quiesced = true;
    this.#update();
    done();
  }

  resume(): void {
    this.#quiesced = false;
    this.#noticeTimer();
    this.#update();
  }

  /** Has the guest asked for an interrupt when the button is pressed (PWRBTN_EN, ACPI 6.5 §4.8.3.1.2)? */
  get enabled(): boolean {
    return (this.#enable & POWER_BUTTON) !== 0;
  }

  /** Wakes a sleeping guest. */
  press(): void {
    if (this.#asleep) {
      this.#request({ kind: 'wake', by: 'user' });
      return;
    }
    this.#status |= POWER_BUTTON;
    this.#update();
  }

  /** Whether the guest has put the machine into S3, where it stays until reset. */
  get asleep(): boolean {
    return this.#asleep;
  }

  wakesBy(by: WakeSource): boolean {
    return by === 'user' || (by === 'rtc' && (this.#enable & RTC_ALARM) !== 0);
  }

  /**
   * The button also stands for user actions for which the fixed hardware has no bit: it tells the guest that a user is
   * present.
   */
  wake(by: WakeSource): void {
    const cause = by === 'rtc' ? RTC_ALARM : by === 'user' ? POWER_BUTTON : 0;
    this.#status |= WAKE | cause;
    this.#update();
  }

  read(offset: number, size: AccessSize): number {
    this.#noticeTimer();
    const registers = [
      this.#status | (this.#enable << 16),
      this.#control | CONTROL_SCI_EN,
      Number(BigInt.asUintN(32, this.#ticks())),
    ];
    let value = 0;
    for (let i = 0; i < size; i++) {
      const at = offset + i;
      const byte = ((registers[at >> 2] ?? 0) >>> (8 * (at & 3))) & 0xff;
      value |= byte << (8 * i);
    }
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#noticeTimer();
    for (let i = 0; i < size; i++) this.#writeByte(offset + i, (value >>> (8 * i)) & 0xff);
    this.#update();
  }

  /** The bytes of a register are independent, so any access is a sequence of these. */
  #writeByte(offset: number, value: number): void {
    const shift = 8 * (offset & 1);
    const bits = value << shift;
    const others = ~(0xff << shift);
    switch (offset & ~1) {
      case REG.status:
        this.#status &= ~bits;
        break;
      case REG.enable:
        this.#enable = (this.#enable & others) | (bits & ENABLE_BITS);
        break;
      case REG.control:
        this.#control = (this.#control & others) | (bits & CONTROL_BITS);
        if (bits & CONTROL_SLEEP_ENABLE) this.#sleep();
        break;
    }
  }

  /** Other types, and states that the guest may not enter, are ignored. */
  #sleep(): void {
    const { s3, s4 } = this.#sleepStates;
    switch ((this.#control & CONTROL_SLEEP_TYPE) >> SLEEP_TYPE_SHIFT) {
      case SLEEP_TYPE.s3:
        if (s3) this.#enterS3();
        break;
      case SLEEP_TYPE.s4:
        if (s4) this.#request({ kind: 'power-off', reason: 'the guest hibernated' });
        break;
      case SLEEP_TYPE.s5:
      case EARLIER_S5:
        this.#request({ kind: 'power-off' });
        break;
    }
  }

  #enterS3(): void {
    if (this.#asleep) return;
    this.#asleep = true;
    this.#request({ kind: 'sleep' });
  }

  #ticks(): bigint {
    return ((this.#clock.now() - this.#timerStart) * TIMER_HZ) / NS_PER_SECOND;
  }

  #noticeTimer(): void {
    const halves = this.#ticks() / HALF_PERIOD;
    if (halves === this.#halvesSeen) return;
    this.#halvesSeen = halves;
    this.#status |= TIMER;
  }

  #update(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    if (!this.#quiesced && this.#enable & TIMER && !(this.#status & TIMER)) this.#scheduleTimer();
    this.#sci.set((this.#status & this.#enable) !== 0);
  }

  #scheduleTimer(): void {
    const next = (this.#halvesSeen + 1n) * HALF_PERIOD;
    const deadline = this.#timerStart + (next * NS_PER_SECOND) / TIMER_HZ + 1n;
    this.#cancelTimer = this.#clock.at(deadline, () => {
      this.#noticeTimer();
      this.#update();
    });
  }

  save(): DeviceState {
    return {
      status: this.#status,
      enable: this.#enable,
      control: this.#control,
      timerStart: this.#timerStart,
      halvesSeen: this.#halvesSeen,
      asleep: this.#asleep,
    };
  }

  load(state: DeviceState): void {
    // Absent from states of versions without S3.
    this.#asleep = state.asleep === undefined ? false : booleanOf(state, 'asleep');
    this.#status = numberOf(state, 'status', 0xffff) & (ENABLE_BITS | WAKE);
    this.#enable = numberOf(state, 'enable', 0xffff) & ENABLE_BITS;
    this.#control = numberOf(state, 'control', 0xffff) & CONTROL_BITS;
    const { timerStart, halvesSeen } = state;
    // A machine that was itself loaded may have a start before its clock's.
    if (!isTime(timerStart) || timerStart > this.#clock.now())
      throw new DeviceStateError('timerStart', 'time before now');
    if (!isTime(halvesSeen) || halvesSeen < 0n) throw new DeviceStateError('halvesSeen', 'count');
    this.#timerStart = timerStart;
    this.#halvesSeen = halvesSeen;
    this.#quiesced = true;
    this.#update();
  }

  close(): void {
    this.#cancelTimer?.();
  }
}

function isTime(value: StateValue | undefined): value is bigint {
  return typeof value === 'bigint' && BigInt.asIntN(64, value) === value;
}

/** \_S3 to \_S5: each a package whose first element is the sleep type. */
function sleepPackages({ s3, s4 }: SleepStates): Aml {
  const state = (path: string, type: number) =>
    name(path, packageOf(integer(type), integer(type), integer(0), integer(0)));
  return concat(
    ...(s3 ? [state('_S3', SLEEP_TYPE.s3)] : []),
    ...(s4 ? [state('_S4', SLEEP_TYPE.s4)] : []),
    state('_S5', SLEEP_TYPE.s5),
  );
}

export const acpiPm: BuiltinType = {
  type: 'acpi-pm',
  title: 'ACPI power management',
  description: 'power button, sleep states, soft off and the power management timer',
  bus: 'isa',
  builtin: true,
  create: services => {
    const { clock, request, sleepStates } = services;
    const sci = services.interruptLine(IRQ.sci);
    const device = new AcpiPm({ port: PORT.pm1Event, sci, clock, request, sleepStates });
    return {
      device,
      ports: device.ports,
      acpi: { root: sleepPackages(sleepStates), ...(sleepStates.s3 && { rtcWakes: true }) },
      capabilities: { powerButton: device, sleep: device },
    };
  },
};
