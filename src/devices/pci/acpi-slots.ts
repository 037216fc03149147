import type { AccessSize, DeviceState, IoHandler } from '../device.ts';
import { numberOf } from '../state.ts';
import type { PciBus } from './pci-bus.ts';
import type { PciFunction } from './pci-function.ts';
import type { PciHotplug } from './pci-hotplug.ts';

/**
 * Offsets of the registers, with the names from QEMU's ACPI tables (docs/specs/acpi_pci_hotplug.rst of QEMU): a bit for
 * each slot of the bus. PCIU and PCID are read, B0EJ is written.
 */
const REG = { PCIU: 0x0, PCID: 0x4, B0EJ: 0x8, size: 0xc } as const;

export type AcpiSlotsOptions = {
  readonly bus: PciBus;
  /** Whether the machine can do without the device in a slot. */
  readonly removable: (slot: number) => boolean;
  /** Notifies the guest that PCIU or PCID has changed. */
  readonly notify: () => void;
  /** Whether the guest has enabled that notification. */
  readonly isEnabled: () => boolean;
};

/**
 * ACPI hot plug of the slots of a bus. The host sets a bit in PCIU or PCID and raises a general-purpose event, whose
 * method notifies the slots' devices; to release a slot, the guest runs its _EJ0, which writes the slot's bit to B0EJ.
 */
export class AcpiSlots implements IoHandler, PciHotplug {
  static readonly size = REG.size;
  onReleased: ((functions: readonly PciFunction[]) => void) | null = null;
  readonly #options: AcpiSlotsOptions;
  /** Slots with a device that the guest has not checked yet. */
  #up = 0;
  /** Slots that the guest has been asked to release. */
  #down = 0;

  constructor(options: AcpiSlotsOptions) {
    this.#options = options;
  }

  driven(): boolean {
    return this.#options.isEnabled();
  }

  announce(slot: number): void {
    this.#up = (this.#up | bit(slot)) >>> 0;
    this.#options.notify();
  }

  requestRemoval(slot: number): void {
    this.#down = (this.#down | bit(slot)) >>> 0;
    this.#options.notify();
  }

  repeatRequest(slot: number): void {
    if (this.removing(slot)) this.#options.notify();
  }

  cancelRemoval(slot: number): void {
    this.#down = (this.#down & ~bit(slot)) >>> 0;
  }

  removing(slot: number): boolean {
    return (this.#down & bit(slot)) !== 0;
  }

  remove(slot: number): void {
    this.#takeOut(slot);
    // A guest that checks finds the slot empty (ACPI 6.5 §5.6.6: a device check).
    this.announce(slot);
  }

  read(offset: number, size: AccessSize): number {
    const register = offset & ~3;
    const value = register === REG.PCIU ? this.#up : register === REG.PCID ? this.#down : 0;
    if (register === REG.PCIU) this.#up = 0;
    const mask = size === 4 ? 0xffff_ffff : 2 ** (8 * size) - 1;
    return ((value >>> (8 * (offset & 3))) & mask) >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset < REG.B0EJ || offset + size > REG.size) return;
    const slots = value << (8 * (offset & 3));
    for (let slot = 0; slot < 32; slot++) if ((slots & bit(slot)) !== 0) this.#eject(slot);
  }

  /**
   * Restores the power-on state. Devices that the guest has been asked to release are removed: no driver uses them any
   * more.
   */
  reset(): void {
    const { bus } = this.#options;
    this.#up = 0;
    for (let slot = 0; slot < bus.slots; slot++) if (this.removing(slot)) this.#eject(slot);
    this.#down = 0;
  }

  save(): DeviceState {
    return { up: this.#up, down: this.#down };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.#up = numberOf(state, 'up', 0xffff_ffff);
    this.#down = numberOf(state, 'down', 0xffff_ffff);
  }

  /** A guest may eject what it has not been asked to release, but not what the machine needs. */
  #eject(slot: number): void {
    if (!this.#options.removable(slot)) return;
    const functions = this.#takeOut(slot);
    if (functions.length > 0) this.onReleased?.(functions);
  }

  #takeOut(slot: number): PciFunction[] {
    const { bus } = this.#options;
    const functions = bus.functionsOf(slot);
    for (const fn of functions) bus.unplug(fn);
    this.#up = (this.#up & ~bit(slot)) >>> 0;
    this.#down = (this.#down & ~bit(slot)) >>> 0;
    return functions;
  }
}

function bit(slot: number): number {
  return 2 ** slot;
}
