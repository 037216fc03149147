import type { HostConfig } from './host-config.ts';
import type { PassedFunction } from './passed-function.ts';

/** Offsets in the capability (PCI Bus Power Management Interface 1.2 §3.2), and its size. */
const PM = { capabilities: 2, control: 4, size: 8 } as const;
/** PME support, in any state, and the auxiliary current: wake-up signals would reach the host. */
const WAKE_UP = 0xf800 | 0x01c0;
const D1_SUPPORTED = 1 << 9;
const D2_SUPPORTED = 1 << 10;
const STATE = 0x3;
const NO_SOFT_RESET = 1 << 3;
const D0 = 0;

/**
 * The power management of a passed-through function: BARs are unmapped before the device leaves D0, and mapped again
 * once it is back in D0.
 */
export class VirtualPower {
  readonly #fn: PassedFunction;
  readonly #control: number;
  readonly #supported: readonly number[];

  constructor(fn: PassedFunction, host: HostConfig, at: number) {
    this.#fn = fn;
    this.#control = at + PM.control;
    const capabilities = host.u16(at + PM.capabilities);
    this.#supported = [
      D0,
      ...((capabilities & D1_SUPPORTED) !== 0 ? [1] : []),
      ...((capabilities & D2_SUPPORTED) !== 0 ? [2] : []),
      3,
    ];
    fn.hide(at + 2, at + PM.size);
    fn.config.define(at + PM.capabilities, 2, capabilities & ~WAKE_UP);
    fn.config.define(this.#control, 2, host.u16(this.#control) & NO_SOFT_RESET, { writable: STATE });
    fn.addHook({ start: this.#control, end: this.#control + 2, afterWrite: () => this.#follow() });
  }

  /** Puts the device into D0; the state that its guest sees does not change. */
  wakeDevice(): void {
    this.#fn.change16(this.#control, STATE, D0);
  }

  /** Puts the device into D0, also in the state that its guest sees. */
  wake(): void {
    this.wakeDevice();
    this.#fn.config.setU16(this.#control, this.#fn.config.u16(this.#control) & ~STATE);
    if (!this.#fn.power.awake) this.#fn.power = { ...this.#fn.power, awake: true };
  }

  #follow(): void {
    const { config, power } = this.#fn;
    const control = config.u16(this.#control);
    const wanted = control & STATE;
    // A state that the device does not support is not entered (§3.2.4).
    const state = this.#supported.includes(wanted) ? wanted : D0;
    if (state !== wanted) config.setU16(this.#control, (control & ~STATE) | state);
    if (state === D0) {
      this.#fn.change16(this.#control, STATE, D0);
      this.#fn.power = { ...power, awake: true };
    } else {
      this.#fn.power = { ...power, awake: false };
      this.#fn.change16(this.#control, STATE, state);
    }
  }
}
