import type { PciFunction } from './pci-function.ts';

/**
 * How devices are plugged into the slots of a bus, and unplugged, while the machine runs. All functions of a slot come
 * and go together.
 */
export interface PciHotplug {
  /** Called with functions that the guest has released. They are unplugged from the bus. */
  onReleased: ((functions: readonly PciFunction[]) => void) | null;
  /** Whether the guest has enabled the interrupts of a slot: otherwise it checks the slot when it starts, or never. */
  driven(slot: number): boolean;
  /** Notifies the guest of a device that has been plugged into a slot. */
  announce(slot: number): void;
  /** Asks the guest to release the device in a slot. It may take any time, and may never do it. */
  requestRemoval(slot: number): void;
  /** Asks again. A guest may take a second request within five seconds as a cancellation. */
  repeatRequest(slot: number): void;
  /** Cancels the request: the guest keeps the device, unless it has already begun to release it. */
  cancelRemoval(slot: number): void;
  /** Whether the guest has been asked to release the device in a slot, and has not done so yet. */
  removing(slot: number): boolean;
  /** Removes the device in a slot, without asking the guest. */
  remove(slot: number): void;
}
