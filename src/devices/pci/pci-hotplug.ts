import type { PciFunction } from './pci-function.ts';

/** How devices come to the slots of a bus, and leave them, while the machine runs. All functions of a slot come and go together. */
export interface PciHotplug {
  /** Called with functions that the guest has released. They are unplugged from the bus. */
  onReleased: ((functions: readonly PciFunction[]) => void) | null;
  /** Whether the guest has turned on the interrupts of a slot: else it looks at the slot when it starts, or never. */
  driven(slot: number): boolean;
  /** Tells the guest of a device that has been plugged into a slot. */
  announce(slot: number): void;
  /** Asks the guest to release what is in a slot. It may take any time, and may never do it. */
  requestRemoval(slot: number): void;
  /** Asks once more. A guest may take a second request that comes within five seconds for a change of mind. */
  repeatRequest(slot: number): void;
  /** The guest need not release it, and keeps it unless it already has begun to. */
  cancelRemoval(slot: number): void;
  /** Whether the guest has been asked to release what is in a slot, and has not yet. */
  removing(slot: number): boolean;
  /** Takes out what is in a slot, without asking the guest. */
  remove(slot: number): void;
}
