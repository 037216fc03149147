import type { AccessSize, Cancel, Clock, Device, DeviceState, IoHandler } from '../device.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../device-type.ts';
import type { MachineServices } from '../machine-services.ts';
import { PciFunction } from '../pci/pci-function.ts';
import { booleanOf, DeviceStateError, numberOf, stateOf } from '../state.ts';

/** Intel 6300ESB I/O controller hub data sheet, chapter 16, "Watchdog Timer". */
const INTEL = 0x8086;
const WATCHDOG = 0x25ab;
const REVISION = 0;
const CLASS = 0x08_8000;

/**
 * WDT configuration register (section 16.4.17): the interrupt of stage 1, the timer's clock, and whether its expiry has
 * no effect.
 */
const CONFIG = { at: 0x60, noInterrupt: 0x03, fastClock: 0x04, noOutput: 0x20, writable: 0x27 } as const;
/** WDT lock register (section 16.4.18). A free-running timer restarts when it expires. */
const LOCK = { at: 0x68, locked: 0x01, enabled: 0x02, freeRunning: 0x04 } as const;

/** Registers in memory (section 16.5). */
const REG = { preload1: 0x00, preload2: 0x04, interrupt: 0x08, reload: 0x0c } as const;
const BAR_BYTES = 16;
const PRELOAD = 0x000f_ffff;
/** The sequence that must be written to the reload register before a register can be changed. */
const UNLOCK = [0x80, 0x86] as const;
const RELOAD = { restart: 0x100, timedOut: 0x200 } as const;
/** Linux looks for the flag in this bit. */
const TIMED_OUT_OF_LINUX = 0x1000;

/** The timer's ticks, in cycles of PCI's clock: 1 kHz, or 1 MHz. */
const CLOCK_HZ = 33_000_000n;
const SLOW_TICK = 2n ** 15n;
const FAST_TICK = 2n ** 5n;
const NS = 1_000_000_000n;
/** The minimum duration of a stage, so that a guest cannot keep the machine busy. */
const LEAST_STAGE = 1_000_000n;

const ACTIONS = ['reset', 'shutdown', 'poweroff', 'pause', 'none'] as const;
export type WatchdogAction = (typeof ACTIONS)[number];

type Services = Pick<MachineServices, 'clock' | 'request' | 'warn'>;

/**
 * The watchdog of Intel's 6300ESB: a guest that stops restarting it is assumed to hang, and the machine does what its
 * user has configured.
 */
export class I6300esb implements Device, IoHandler {
  readonly name: string;
  readonly function: PciFunction;
  readonly #action: WatchdogAction;
  readonly #services: Services;
  readonly #clock: Clock;
  readonly #preloads: [number, number] = [PRELOAD, PRELOAD];
  /** The number of bytes of `UNLOCK` that have been written. */
  #unlocked = 0;
  #interrupt = false;
  /** Whether it expired before the machine was reset. */
  #timedOut = false;
  /** Its current stage, of two, and when that ends; null if it does not run. */
  #stage: 0 | 1 = 0;
  #deadline: bigint | null = null;
  /** Whether the user has been notified since it was last restarted. */
  #hasNotified = false;
  #cancel: Cancel | null = null;
  #isRunning = true;

  constructor(name: string, action: WatchdogAction, services: Services) {
    this.name = name;
    this.#action = action;
    this.#services = services;
    this.#clock = services.clock;
    this.function = new PciFunction(name, {
      ...{ vendor: INTEL, device: WATCHDOG, revision: REVISION, classCode: CLASS },
      ...{ subsystemVendor: INTEL, subsystem: WATCHDOG },
    });
    this.function.addBar(0, { kind: 'memory32', size: BAR_BYTES, handler: this });
    this.function.addInterruptPin();
    this.#defineConfig(LOCK.locked | LOCK.enabled | LOCK.freeRunning);
    this.function.addHook({ start: LOCK.at, end: LOCK.at + 1, afterWrite: () => this.#lockWritten() });
    this.function.onBusReset(() => this.#reset());
  }

  read(offset: number, size: AccessSize): number {
    const word = offset & ~3;
    return (this.#read(word) >>> (8 * (offset & 3))) & (size === 4 ? 0xffff_ffff : 2 ** (8 * size) - 1);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (this.#unlocked < UNLOCK.length) {
      const isNext = offset === REG.reload && value === UNLOCK[this.#unlocked];
      this.#unlocked = isNext ? this.#unlocked + 1 : 0;
      if (offset === REG.interrupt) this.#writeInterrupt(value);
      return;
    }
    this.#unlocked = 0;
    if (offset === REG.preload1 && size === 4) this.#preloads[0] = value & PRELOAD;
    else if (offset === REG.preload2 && size === 4) this.#preloads[1] = value & PRELOAD;
    else if (offset === REG.interrupt) this.#writeInterrupt(value);
    else if (offset === REG.reload && size > 1) {
      if ((value & RELOAD.restart) !== 0 && this.#isEnabled) this.#begin(0);
      if ((value & RELOAD.timedOut) !== 0) this.#timedOut = false;
    }
  }

  reset(): void {
    this.function.reset();
    this.#reset();
  }

  quiesce(done: () => void): void {
    this.#isRunning = false;
    this.#stopTimer();
    done();
  }

  resume(): void {
    this.#isRunning = true;
    this.#startTimer();
  }

  save(): DeviceState {
    return {
      function: this.function.save(),
      preload1: this.#preloads[0],
      preload2: this.#preloads[1],
      unlocked: this.#unlocked,
      interrupt: this.#interrupt,
      timedOut: this.#timedOut,
      stage: this.#stage,
      deadline: this.#deadline,
      told: this.#hasNotified,
    };
  }

  load(state: DeviceState): void {
    const { deadline } = state;
    const isTime = typeof deadline === 'bigint' && deadline >= 0n && deadline < 2n ** 63n;
    if (deadline !== null && !isTime) throw new DeviceStateError('deadline', 'time');
    const preloads = [numberOf(state, 'preload1', PRELOAD), numberOf(state, 'preload2', PRELOAD)] as const;
    const unlocked = numberOf(state, 'unlocked', UNLOCK.length);
    const [interrupt, timedOut] = [booleanOf(state, 'interrupt'), booleanOf(state, 'timedOut')];
    const hasNotified = booleanOf(state, 'told');
    const stage = numberOf(state, 'stage', 1);
    // A state may contain what a driver has locked.
    this.#defineConfig(LOCK.locked | LOCK.enabled | LOCK.freeRunning);
    this.function.load(stateOf(state, 'function'));
    this.#stopTimer();
    this.#preloads.splice(0, 2, ...preloads);
    this.#unlocked = unlocked;
    this.#interrupt = interrupt;
    this.#timedOut = timedOut;
    this.#hasNotified = hasNotified;
    this.#stage = stage === 0 ? 0 : 1;
    this.#deadline = deadline as bigint | null;
    this.#applyLock();
    this.function.setInterrupt(this.#interrupt);
  }

  close(): void {
    this.#stopTimer();
    this.function.close();
  }

  #read(register: number): number {
    switch (register) {
      case REG.interrupt:
        return this.#interrupt ? 1 : 0;
      case REG.reload:
        return this.#timedOut ? RELOAD.timedOut | TIMED_OUT_OF_LINUX : 0;
      default:
        // Preloads are write-only.
        return 0;
    }
  }

  #writeInterrupt(value: number): void {
    if ((value & 1) === 0) return;
    this.#interrupt = false;
    this.function.setInterrupt(false);
  }

  get #lock(): number {
    return this.function.config.u8(LOCK.at);
  }

  get #isEnabled(): boolean {
    return (this.#lock & LOCK.enabled) !== 0;
  }

  /** @param lockBits the bits of the lock register that the driver can change */
  #defineConfig(lockBits: number): void {
    const { config } = this.function;
    config.define(CONFIG.at, 2, 0, { writable: CONFIG.writable });
    config.define(LOCK.at, 1, 0, { writable: lockBits });
  }

  #lockWritten(): void {
    this.#applyLock();
    if (!this.#isEnabled) this.#end();
    else if (this.#deadline === null) this.#begin(0);
  }

  /** A locked register does not change until a reset. */
  #applyLock(): void {
    const { config } = this.function;
    const value = config.u8(LOCK.at);
    if ((value & LOCK.locked) === 0) return;
    config.define(LOCK.at, 1, 0, { writable: 0 });
    config.setU8(LOCK.at, value);
  }

  #begin(stage: 0 | 1): void {
    const isFast = (this.function.config.u16(CONFIG.at) & CONFIG.fastClock) !== 0;
    const cycles = BigInt(this.#preloads[stage]!) * (isFast ? FAST_TICK : SLOW_TICK);
    const lasts = (cycles * NS) / CLOCK_HZ;
    if (stage === 0) this.#hasNotified = false;
    this.#stage = stage;
    this.#deadline = this.#clock.now() + (lasts < LEAST_STAGE ? LEAST_STAGE : lasts);
    this.#startTimer();
  }

  #end(): void {
    this.#stopTimer();
    this.#deadline = null;
  }

  #startTimer(): void {
    this.#stopTimer();
    if (this.#deadline === null || !this.#isRunning) return;
    this.#cancel = this.#clock.at(this.#deadline, () => {
      this.#cancel = null;
      this.#expired();
    });
  }

  #stopTimer(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #expired(): void {
    const config = this.function.config.u16(CONFIG.at);
    if (this.#stage === 0) {
      if ((config & CONFIG.noInterrupt) === 0) {
        this.#interrupt = true;
        this.function.setInterrupt(true);
      }
      this.#begin(1);
      return;
    }
    const hadNotified = this.#hasNotified;
    if ((this.#lock & LOCK.freeRunning) !== 0) this.#begin(0);
    else this.#end();
    if ((config & CONFIG.noOutput) !== 0) return;
    this.#timedOut = true;
    this.#hasNotified = true;
    if (!hadNotified || this.#action !== 'none') this.#act();
  }

  #act(): void {
    const { request, warn } = this.#services;
    const reason = `the guest has not restarted its watchdog (${this.name})`;
    switch (this.#action) {
      case 'reset':
        request({ kind: 'reset', reason });
        return;
      case 'poweroff':
        request({ kind: 'power-off', reason });
        return;
      case 'pause':
        request({ kind: 'pause', reason });
        return;
      case 'shutdown':
        warn(`${reason}: it is asked to shut down`);
        request({ kind: 'power-button' });
        return;
      case 'none':
        warn(reason);
    }
  }

  #reset(): void {
    this.#end();
    this.#defineConfig(LOCK.locked | LOCK.enabled | LOCK.freeRunning);
    this.#preloads.fill(PRELOAD);
    this.#unlocked = 0;
    this.#stage = 0;
    this.#hasNotified = false;
    this.#interrupt = false;
    this.function.setInterrupt(false);
  }
}

const options = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'i6300esb'),
    action: z
      .enum(ACTIONS)
      .default('reset')
      .describe(
        'what happens when the guest has not restarted it in time: shutdown presses the power button',
      ),
  });

export const i6300esb: ConfigurableType<ReturnType<typeof options>> = {
  type: 'i6300esb',
  title: 'Intel 6300ESB watchdog',
  description:
    'a timer that a working guest keeps restarting; when it ends, the VM is reset, or what `action` says',
  bus: 'pci',
  prefix: 'watchdog',
  libvirt: { element: 'watchdog', models: ['i6300esb'] },
  qemu: { devices: ['i6300esb'], properties: {} },
  config: options,
  create(services, { action }, name) {
    const device = new I6300esb(name, action, services);
    return { device, pci: device.function, facts: [{ label: 'action', value: action }] };
  },
};
