import type { AccessSize } from '../device.ts';
import type { Msi } from './msi.ts';
import type { PciFunction } from './pci-function.ts';
import { LINK_STATUS, PCIE } from './pcie-capability.ts';

/** Slot capabilities (PCI Express Base 4.0 §7.5.3.9). */
const CAPABLE = {
  attentionButton: 1 << 0,
  powerController: 1 << 1,
  attentionIndicator: 1 << 3,
  powerIndicator: 1 << 4,
  hotplug: 1 << 6,
} as const;
const SLOT_NUMBER_SHIFT = 19;

/** Slot control (§7.5.3.10). The low bits enable interrupts of the events with the same bits in the slot status. */
const CONTROL = {
  eventEnables: 0x1f,
  interruptEnable: 1 << 5,
  attentionIndicator: 0x3 << 6,
  powerIndicator: 0x3 << 8,
  powerOff: 1 << 10,
  linkChangeEnable: 1 << 12,
} as const;
const CONTROL_WRITABLE =
  CONTROL.eventEnables |
  CONTROL.interruptEnable |
  CONTROL.attentionIndicator |
  CONTROL.powerIndicator |
  CONTROL.powerOff |
  CONTROL.linkChangeEnable;
const INDICATOR = { on: 1, blink: 2, off: 3 } as const;
const ATTENTION_OFF = INDICATOR.off << 6;
const POWER_ON = INDICATOR.on << 8;
const POWER_BLINKS = INDICATOR.blink << 8;
const POWER_OFF = (INDICATOR.off << 8) | CONTROL.powerOff;

/** Slot status (§7.5.3.11). */
const STATUS = {
  attentionPressed: 1 << 0,
  presenceChanged: 1 << 3,
  commandCompleted: 1 << 4,
  presence: 1 << 6,
  linkChanged: 1 << 8,
} as const;
const STATUS_CLEARABLE = 0x1f | STATUS.linkChanged;

export type HotplugSlotOptions = {
  /** The physical slot number in the slot's registers, 1-8191, unique within the machine. */
  readonly number: number;
  /** Offset of the port's PCI Express capability. */
  readonly at: number;
  readonly msi: Msi;
  /** `linkUp` has changed. */
  readonly onLink: () => void;
  /** The device has lost power, and with it its state. */
  readonly onPowerLost: () => void;
  /** The guest has released the device whose removal was requested: removes it. */
  readonly takeOut: () => void;
  /** The device has been ejected, and another may be inserted. */
  readonly onEjected: () => void;
};

/**
 * The slot registers of a root port, with attention button, power controller and both indicators (PCI Express Base 4.0
 * §6.7, §7.5.3.9-11). The host adds a device with `insert`; the guest powers the slot and finds it. To remove it,
 * `requestRemoval` presses the attention button; the guest stops using the device and powers the slot off, which ejects
 * it. If a guest powers a slot off without a request, its device is off, not gone.
 */
export class HotplugSlot {
  readonly #function: PciFunction;
  readonly #options: HotplugSlotOptions;
  #occupied = false;
  #removing = false;
  #linkUp = false;
  /** Whether an enabled event was pending at the last update: an MSI is sent when one becomes pending. */
  #notified = false;

  constructor(fn: PciFunction, options: HotplugSlotOptions) {
    this.#function = fn;
    this.#options = options;
    const { at, number } = options;
    const capabilities =
      CAPABLE.attentionButton |
      CAPABLE.powerController |
      CAPABLE.attentionIndicator |
      CAPABLE.powerIndicator |
      CAPABLE.hotplug;
    fn.config.define(at + PCIE.slotCapabilities, 4, capabilities | (number << SLOT_NUMBER_SHIFT));
    fn.config.define(at + PCIE.slotControl, 2, ATTENTION_OFF | POWER_OFF, { writable: CONTROL_WRITABLE });
    fn.config.define(at + PCIE.slotStatus, 2, 0, { clearable: STATUS_CLEARABLE });
  }

  /** Whether a device is in the slot. */
  get occupied(): boolean {
    return this.#occupied;
  }

  /** Whether the device is powered, and the guest reaches it. */
  get linkUp(): boolean {
    return this.#linkUp;
  }

  /** Whether the guest has been asked to release the device, and has not done so yet. */
  get removing(): boolean {
    return this.#removing;
  }

  /** Whether the guest has enabled interrupts for hot plug and removal. */
  get driven(): boolean {
    const { control } = this;
    const wanted = STATUS.attentionPressed | STATUS.presenceChanged;
    return (control & CONTROL.interruptEnable) !== 0 && (control & wanted) !== 0;
  }

  /**
   * A device that was present before the machine's first instruction: powered and unannounced, as firmware leaves it.
   */
  populate(): void {
    this.#occupied = true;
    this.#setControl(ATTENTION_OFF | POWER_ON);
    this.#showPresence();
    this.#changeLink(true);
  }

  /** A device has been inserted while the machine runs. */
  insert(): void {
    this.#occupied = true;
    this.#showPresence();
    this.#updateLink();
    // A guest that handles the attention button may ignore presence changes, and vice versa.
    this.#happened(STATUS.presenceChanged | STATUS.attentionPressed);
  }

  /**
   * Asks the guest to release the device. Called once: a second press within five seconds would cancel the request.
   * @returns false if it has been asked already
   */
  requestRemoval(): boolean {
    if (!this.#occupied || this.#removing) return false;
    this.#removing = true;
    if (this.#powered) this.#happened(STATUS.attentionPressed);
    else this.#eject();
    return true;
  }

  /** Presses the button once more, for a guest that has not released the device. */
  repeatRequest(): void {
    if (this.#removing) this.#happened(STATUS.attentionPressed);
  }

  /**
   * Keeps the device. A guest that counts down to the removal, as its blinking indicator shows, is notified (§6.7.1.5).
   */
  cancelRemoval(): void {
    if (!this.#removing) return;
    this.#removing = false;
    if ((this.control & CONTROL.powerIndicator) === POWER_BLINKS) this.#happened(STATUS.attentionPressed);
  }

  /** Removes the device, whatever the guest is doing with it. */
  remove(): void {
    if (!this.#occupied) return;
    this.#occupied = false;
    this.#removing = false;
    this.#showPresence();
    this.#updateLink();
    this.#happened(STATUS.presenceChanged);
  }

  /**
   * Called after the guest's write to [offset, offset + size) of configuration space. @param before slot control before
   * the write
   */
  written(offset: number, size: AccessSize, before: number): void {
    const control = this.#options.at + PCIE.slotControl;
    if (offset < control + 2 && offset + size > control) {
      this.#updateLink();
      const turnedOff = (before & CONTROL.powerOff) === 0 && !this.#powered;
      if (turnedOff && this.#removing) this.#eject();
      this.#happened(STATUS.commandCompleted);
    } else this.update();
  }

  get control(): number {
    return this.#function.config.u16(this.#options.at + PCIE.slotControl);
  }

  /** Restores the power-on state, with the device in place. */
  reset(): void {
    this.#notified = false;
    if (this.#occupied) this.populate();
    else this.#changeLink(false);
    this.update();
  }

  /** Ejects a device whose removal was requested: the machine is reset, and no driver uses it any more. */
  finishRemoval(): void {
    if (this.#removing) this.#eject();
  }

  /** Called after configuration space has been loaded: updates what depends on it and on the slot's device. */
  loaded(removing: boolean): void {
    this.#removing = removing && this.#occupied;
    this.#showPresence();
    this.#changeLink(this.#occupied && this.#powered);
    this.#notified = this.#waiting;
    this.update();
  }

  /** Updates the interrupt from the registers. */
  update(): void {
    const { msi } = this.#options;
    const waiting = this.#waiting;
    if (waiting && !this.#notified) msi.signal();
    this.#notified = waiting;
    this.#function.setInterrupt(waiting && !msi.enabled);
  }

  #eject(): void {
    this.#options.takeOut();
    this.remove();
    this.#options.onEjected();
  }

  get #powered(): boolean {
    return (this.control & CONTROL.powerOff) === 0;
  }

  /** Whether an event with an enabled interrupt has occurred (§6.7.3.4). */
  get #waiting(): boolean {
    const { control } = this;
    const status = this.#function.config.u16(this.#options.at + PCIE.slotStatus);
    const wanted =
      (control & CONTROL.eventEnables) | (control & CONTROL.linkChangeEnable ? STATUS.linkChanged : 0);
    return (control & CONTROL.interruptEnable) !== 0 && (status & wanted) !== 0;
  }

  #happened(event: number): void {
    const at = this.#options.at + PCIE.slotStatus;
    const { config } = this.#function;
    config.setU16(at, config.u16(at) | event);
    this.update();
  }

  #updateLink(): void {
    const up = this.#occupied && this.#powered;
    if (up === this.#linkUp) return;
    this.#changeLink(up);
    if (!up) this.#options.onPowerLost();
    this.#happened(STATUS.linkChanged);
  }

  #changeLink(up: boolean): void {
    const at = this.#options.at + PCIE.linkStatus;
    const { config } = this.#function;
    const status = config.u16(at) & ~LINK_STATUS.active;
    config.setU16(at, up ? status | LINK_STATUS.active : status);
    if (up === this.#linkUp) return;
    this.#linkUp = up;
    this.#options.onLink();
  }

  #showPresence(): void {
    const at = this.#options.at + PCIE.slotStatus;
    const { config } = this.#function;
    const status = config.u16(at) & ~STATUS.presence;
    config.setU16(at, this.#occupied ? status | STATUS.presence : status);
  }

  #setControl(value: number): void {
    this.#function.config.setU16(this.#options.at + PCIE.slotControl, value);
  }
}
