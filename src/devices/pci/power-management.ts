import type { PciFunction } from './pci-function.ts';
import { CAPABILITY } from './registers.ts';

/**
 * Offsets in the capability, and the bytes that follow ID and next pointer (PCI Bus Power Management Interface 1.2
 * §3.2).
 */
const POWER = { capabilities: 2, control: 4, body: 6 } as const;
const VERSION_1_2 = 0x3;
const VERSION_1_1 = 0x2;
const STATE = 0x3;
const [D0, D3_HOT] = [0, 3];
const NO_SOFT_RESET = 1 << 3;
const PME_ENABLE = 1 << 8;
const PME_STATUS = 1 << 15;
const PME_BITS = PME_ENABLE | PME_STATUS;
/** PME# may be asserted in D0, D3hot and D3cold, and drivers initialize the function. */
const PME_CAPABILITIES = 0xc820;

export type PowerManagementOptions = {
  /** Whether the function is reset by leaving D3hot (§5.4.1); otherwise it keeps its state. */
  readonly softReset?: boolean;
  /** Called when the function asserts PME#. Absent if it never does. */
  readonly onPme?: () => void;
  /** Called when the driver has changed the power state. */
  readonly onState?: () => void;
};

/** Power management of a function with D0 and D3hot (PCI Bus Power Management Interface 1.2 §3.2), and its events. */
export class PowerManagement {
  readonly #fn: PciFunction;
  readonly #control: number;
  readonly #onPme: (() => void) | undefined;
  /** PME_En and PME_Status, which are on auxiliary power: a reset of the bus keeps them. */
  #kept = 0;

  constructor(fn: PciFunction, { softReset = false, onPme, onState }: PowerManagementOptions = {}) {
    this.#fn = fn;
    this.#onPme = onPme;
    const at = fn.addCapability(CAPABILITY.powerManagement, new Uint8Array(POWER.body));
    const control = at + POWER.control;
    this.#control = control;
    fn.config.define(at + POWER.capabilities, 2, onPme ? VERSION_1_1 | PME_CAPABILITIES : VERSION_1_2);
    fn.config.define(control, 2, softReset ? 0 : NO_SOFT_RESET, {
      writable: STATE | (onPme ? PME_ENABLE : 0),
      clearable: onPme ? PME_STATUS : 0,
    });
    if (onPme) fn.onBusReset(() => this.#set(this.#kept));
    let before = 0;
    fn.addHook({
      start: control,
      end: control + 2,
      beforeWrite: () => {
        before = this.#state;
      },
      afterWrite: () => {
        this.#changed();
        if (before !== this.#state) onState?.();
        if (softReset && before === D3_HOT && this.#state === D0) fn.busReset();
      },
    });
  }

  /** Whether the function is in D0. */
  get isOn(): boolean {
    return this.#state === D0;
  }

  /** PME_En. */
  get isEnabled(): boolean {
    return (this.#value & PME_ENABLE) !== 0;
  }

  set isEnabled(enabled: boolean) {
    this.#set((this.#value & PME_STATUS) | (enabled ? PME_ENABLE : 0));
  }

  /** PME_Status: there has been an event. */
  get hasEvent(): boolean {
    return (this.#value & PME_STATUS) !== 0;
  }

  set hasEvent(hasEvent: boolean) {
    this.#set((this.#value & PME_ENABLE) | (hasEvent ? PME_STATUS : 0));
  }

  /** Called after a loss of power. */
  powerOn(): void {
    this.#kept = 0;
    this.#set(0);
  }

  /**
   * The machine wakes from S3: what is on auxiliary power is unchanged, although configuration space has been reset.
   */
  wake(): void {
    this.#set(this.#kept);
  }

  /** Called when configuration space has been loaded. */
  loaded(): void {
    this.#kept = this.#value & PME_BITS;
  }

  get #value(): number {
    return this.#fn.config.u16(this.#control);
  }

  get #state(): number {
    return this.#value & STATE;
  }

  #set(bits: number): void {
    this.#fn.config.setU16(this.#control, (this.#value & ~PME_BITS) | bits);
    this.#changed();
  }

  /** PME# is asserted while there is an event, and events are enabled. */
  #changed(): void {
    const wasAsserted = this.#kept === PME_BITS;
    this.#kept = this.#value & PME_BITS;
    if (this.#kept === PME_BITS && !wasAsserted) this.#onPme?.();
  }
}
