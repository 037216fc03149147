import type { MsiVector } from '../device.ts';
import { type PciBus, PciSlotError } from './pci-bus.ts';
import type { PciFunction, PciPlace } from './pci-function.ts';
import { RootPort } from './root-port.ts';

/** Slots of bus 0 from here on are kept for root ports; devices without an assigned place fill those before. */
export const FIRST_PORT_SLOT = 24;
const FUNCTIONS = 8;
const PINS = 4;

/**
 * Places for functions that have none assigned: a slot of bus 0 or, when those are taken, a root port for each, of
 * which eight share a slot. Places follow from the order alone: a device that is added at the end moves no other.
 */
export class Placement {
  readonly #root: PciBus;
  readonly #allocateMsi: () => MsiVector;
  readonly #ports: RootPort[] = [];

  constructor(root: PciBus, allocateMsi: () => MsiVector) {
    this.#root = root;
    this.#allocateMsi = allocateMsi;
  }

  /** The root ports, in the order of their numbers. */
  get ports(): readonly RootPort[] {
    return this.#ports;
  }

  /** The first slot of bus 0 that a device without an assigned place would get; null if there is none. */
  freeSlot(): number | null {
    return this.#root.freeSlot(0, FIRST_PORT_SLOT);
  }

  /** Adds the next root port, at a place, or at the next free one. @throws PciSlotError */
  addPort(place = this.#portPlace()): RootPort {
    if (place === null) throw new PciSlotError('the machine has no free PCI slot for another root port');
    const port = new RootPort(`root-port.${this.#ports.length + 1}`, {
      // A number that no user would choose.
      slot: place.slot * FUNCTIONS + place.function,
      interruptPin: place.function % PINS,
      allocateMsi: this.#allocateMsi,
    });
    this.#root.plug(port, place);
    this.#ports.push(port);
    return port;
  }

  /** @throws PciSlotError if there is no place left */
  plug(fn: PciFunction): void {
    for (const bus of [this.#root, ...this.#ports.map(port => port.secondary)]) {
      const beside = bus.placeBeside(fn);
      if (beside === null) continue;
      bus.plug(fn, beside);
      return;
    }
    const slot = this.freeSlot();
    if (slot !== null) {
      this.#root.plug(fn, { slot, function: 0 });
      return;
    }
    const place = this.#portPlace();
    const empty = this.#ports.find(port => port.secondary.functions.length === 0);
    if (empty === undefined && place === null)
      throw new PciSlotError(`the machine has no free PCI slot for "${fn.name}": remove a device`);
    const port = empty ?? this.addPort(place);
    port.secondary.plug(fn);
  }

  #portPlace(): PciPlace | null {
    const slot = this.#portSlot();
    return slot === null ? null : { slot, function: this.#root.functionsOf(slot).length };
  }

  /** A slot that is empty, or has room next to ports of this kind. */
  #portSlot(): number | null {
    for (let slot = FIRST_PORT_SLOT; slot < this.#root.slots; slot++) {
      const functions = this.#root.functionsOf(slot);
      const own = functions.every(fn => (this.#ports as PciFunction[]).includes(fn));
      if (own && functions.length < FUNCTIONS) return slot;
    }
    return null;
  }
}
