import type { AccessSize, DeviceState, MsiVector } from '../device.ts';
import { stateOf } from '../state.ts';
import { addRootPortCapability } from './capabilities.ts';
import { HotplugSlot } from './hotplug-slot.ts';
import { Msi } from './msi.ts';
import { PciBridge } from './pci-bridge.ts';
import { PciSlotError } from './pci-bus.ts';
import type { PciFunction } from './pci-function.ts';
import type { PciHotplug } from './pci-hotplug.ts';
import { LINK, PCIE } from './pcie-capability.ts';
import { PowerManagement } from './power-management.ts';

const IDENTITY = { vendor: 0x1b36, device: 0x000c, revision: 0 } as const;

export type RootPortOptions = {
  /** The slot number in the port's registers, unique within the machine. */
  readonly slot: number;
  /** Pin of the port's own interrupts: 0 for INTA# to 3 for INTD#. */
  readonly interruptPin?: number;
  readonly allocateMsi: () => MsiVector;
};

/**
 * A PCI Express root port: a bridge whose secondary bus is a link with one slot, for one device of up to eight
 * functions. The device may be plugged in and unplugged while the machine runs (PCI Express Base 4.0 §6.7).
 */
export class RootPort extends PciBridge implements PciHotplug {
  onReleased: ((functions: readonly PciFunction[]) => void) | null = null;
  readonly #slot: HotplugSlot;
  readonly #msi: Msi;
  /** Offset of the PCI Express capability. */
  readonly #express: number;
  /** The functions that the guest has just released. */
  #released: readonly PciFunction[] = [];

  constructor(name: string, { slot, interruptPin = 0, allocateMsi }: RootPortOptions) {
    super(name, IDENTITY, 'link');
    this.addInterruptPin(interruptPin);
    new PowerManagement(this);
    const at = addRootPortCapability(this);
    this.#express = at;
    this.#msi = new Msi(this, allocateMsi(), () => this.#slot?.update());
    this.#slot = new HotplugSlot(this, {
      number: slot,
      at,
      msi: this.#msi,
      onLink: () => this.secondary.refresh(),
      onPowerLost: () => this.secondary.reset(),
      takeOut: () => {
        this.#released = this.#unplugAll();
      },
      onEjected: () => this.onReleased?.(this.#released),
    });
  }

  override get linkUp(): boolean {
    return this.#slot.linkUp;
  }

  driven(): boolean {
    return this.#slot.driven;
  }

  removing(): boolean {
    return this.#slot.removing;
  }

  /**
   * In a machine that has not run yet: the functions behind the port are powered, and the guest finds them like those
   * on bus 0.
   */
  populate(): void {
    if (this.secondary.functions.length > 0) this.#slot.populate();
  }

  /**
   * Inserts a device into the empty slot while the machine runs, and notifies the guest.
   * @param functions functions 0, 1 ... of the device
   * @throws PciSlotError if the slot is occupied
   */
  insert(functions: readonly PciFunction[]): void {
    if (this.#slot.occupied) {
      const present = this.secondary.functions[0]?.fn.name ?? 'another device';
      throw new PciSlotError(`${this.name} holds "${present}"; unplug it before "${functions[0]?.name}"`);
    }
    functions.forEach((fn, index) => {
      this.secondary.plug(fn, { slot: 0, function: index });
    });
    this.announce();
  }

  announce(): void {
    this.#slot.insert();
  }

  /** @returns false if there is no device, or the guest has been asked already */
  requestRemoval(): boolean {
    return this.#slot.requestRemoval();
  }

  repeatRequest(): void {
    this.#slot.repeatRequest();
  }

  cancelRemoval(): void {
    this.#slot.cancelRemoval();
  }

  /** The guest has been reset: removes the device that it has been asked to release. */
  finishRemoval(): void {
    this.#slot.finishRemoval();
  }

  /** Removes the device without asking the guest. */
  remove(): void {
    this.#unplugAll();
    this.#slot.remove();
  }

  /**
   * Shows the speed and width of the device's link as the port's own: guests take the slowest link on the path for the
   * device's.
   */
  train(link: number): void {
    const { config } = this;
    const [capabilities, status] = [this.#express + PCIE.linkCapabilities, this.#express + PCIE.linkStatus];
    config.define(capabilities, 4, ((config.u32(capabilities) & ~LINK.mask) | link) >>> 0);
    config.define(status, 2, (config.u16(status) & ~LINK.mask) | link);
    // All speeds up to this one, from bit 1 on (PCI Express Base 4.0 §7.5.3.18).
    config.define(this.#express + PCIE.linkCapabilities2, 4, 2 ** ((link & LINK.speed) + 1) - 2);
  }

  override writeConfig(offset: number, size: AccessSize, value: number): void {
    const before = this.#slot.control;
    super.writeConfig(offset, size, value);
    this.#slot.written(offset, size, before);
  }

  override reset(): void {
    super.reset();
    this.#msi.reset();
    this.#slot.reset();
  }

  override save(): DeviceState {
    return { ...super.save(), removing: this.#slot.removing, msi: this.#msi.save() };
  }

  override load(state: DeviceState): void {
    super.load(state);
    this.#msi.load(stateOf(state, 'msi'));
    this.#slot.loaded(state.removing === true);
  }

  override close(): void {
    super.close();
    this.#msi.release();
  }

  #unplugAll(): PciFunction[] {
    const functions = this.secondary.functions.map(({ fn }) => fn);
    for (const fn of functions) this.secondary.unplug(fn);
    return functions;
  }
}
