import { integer, name, packageOf } from '../acpi/aml.ts';
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
} from '../device.ts';
import type { BuiltinType, PortRange, PowerButton } from '../device-type.ts';
import { DeviceStateError, numberOf } from '../state.ts';
import { IRQ, PORT } from './pc-ports.ts';

/** The sleep type that means soft off, here and in \_S5. */
const SLEEP_TYPE_S5 = 5;

/** Offsets from the first port: PM1a status, enable and control, and the PM timer (ACPI 6.5 §4.8.3). */
const REG = { status: 0, enable: 2, control: 4, timer: 8, size: 12 } as const;

/** §4.8.3.1.1 and §4.8.3.1.2: the same bits in status and enable. */
const TIMER = 1 << 0;
const GLOBAL_LOCK = 1 << 5;
const POWER_BUTTON = 1 << 8;
/** The tables say that this event never occurs, but Linux enables it anyway and complains if the bit doesn't stick. */
const RTC_ALARM = 1 << 10;
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
};

/** ACPI fixed hardware: the power button, soft off, and the power management timer. Always in ACPI mode. */
export class AcpiPm implements Device, IoHandler, PowerButton {
  readonly name = 'acpi-pm';
  readonly ports: readonly PortRange[];
  readonly #sci: InterruptLine;
  readonly #clock: Clock;
  readonly #request: RequestMachine;
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
    this.reset();
  }

  reset(): void {
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

  press(): void {
    this.#status |= POWER_BUTTON;
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

  /** The tables offer no sleep state but soft off; other types are ignored. */
  #sleep(): void {
    const type = (this.#control & CONTROL_SLEEP_TYPE) >> SLEEP_TYPE_SHIFT;
    if (type === SLEEP_TYPE_S5) this.#request({ kind: 'power-off' });
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
    };
  }

  load(state: DeviceState): void {
    this.#status = numberOf(state, 'status', 0xffff) & ENABLE_BITS;
    this.#enable = numberOf(state, 'enable', 0xffff) & ENABLE_BITS;
    this.#control = numberOf(state, 'control', 0xffff) & CONTROL_BITS;
    const { timerStart, halvesSeen } = state;
    // A machine that was loaded itself may have started before its clock did.
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

export const acpiPm: BuiltinType = {
  type: 'acpi-pm',
  title: 'ACPI power management',
  description: 'power button, soft off and the power management timer',
  bus: 'isa',
  builtin: true,
  create: services => {
    const { clock, request } = services;
    const device = new AcpiPm({ port: PORT.pm1Event, sci: services.interruptLine(IRQ.sci), clock, request });
    const softOff = packageOf(integer(SLEEP_TYPE_S5), integer(0), integer(0), integer(0));
    return {
      device,
      ports: device.ports,
      acpi: { root: name('_S5', softOff) },
      capabilities: { powerButton: device },
    };
  },
};
