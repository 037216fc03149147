import type { MsiVector } from '../device.ts';
import { type PciBus, PciSlotError } from './pci-bus.ts';
import type { PciFunction } from './pci-function.ts';
import { RootPort } from './root-port.ts';

/** Slots of bus 0 that are kept for root ports; devices without a place of their own fill those before. */
const FIRST_PORT_SLOT = 24;
const FUNCTIONS = 8;
const PINS = 4;

/**
 * Places for functions that have none: a slot of bus 0, or, when those are taken, a root port of their own, of which eight share a
 * slot. Places follow from the order alone: a device that is added at the end moves no other.
 */
export class Placement {
  readonly #root: PciBus;
  readonly #allocateMsi: () => MsiVector;
  readonly #ports: RootPort[] = [];

  constructor(root: PciBus, allocateMsi: () => MsiVector) {
    this.#root = root;
    this.#allocateMsi = allocateMsi;
  }

  /** @throws PciSlotError when there is no place left */
  plug(fn: PciFunction): void {
    const slot = this.#root.freeSlot(0, FIRST_PORT_SLOT);
    if (slot !== null) {
      this.#root.plug(fn, { slot, function: 0 });
      return;
    }
    const port = this.#ports.find(port => port.secondary.functions.length === 0) ?? this.#newPort();
    if (port === null)
      throw new PciSlotError(`the machine has no free PCI slot for "${fn.name}": remove a device`);
    port.secondary.plug(fn);
  }

  #newPort(): RootPort | null {
    const slot = this.#portSlot();
    if (slot === null) return null;
    const place = { slot, function: this.#root.functionsOf(slot).length };
    const port = new RootPort(`root-port.${this.#ports.length + 1}`, {
      // No user would choose such a number.
      slot: place.slot * FUNCTIONS + place.function,
      interruptPin: place.function % PINS,
      allocateMsi: this.#allocateMsi,
    });
    this.#root.plug(port, place);
    this.#ports.push(port);
    return port;
  }

  /** A slot that has room beside ports of this kind, or none yet. */
  #portSlot(): number | null {
    for (let slot = FIRST_PORT_SLOT; slot < this.#root.slots; slot++) {
      const functions = this.#root.functionsOf(slot);
      const own = functions.every(fn => (this.#ports as PciFunction[]).includes(fn));
      if (own && functions.length < FUNCTIONS) return slot;
    }
    return null;
  }
}
