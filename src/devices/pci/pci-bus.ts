import type { Bus } from '../bus.ts';
import type { InterruptLine } from '../device.ts';
import type { PciFunction, PciSlot } from './pci-function.ts';

/** What a bus is attached to: the host, or a bridge. */
export interface PciUpstream {
  readonly ports: Bus;
  readonly memory: Bus;
  /** A new end of the wire that pin INTA# of `slot` drives. */
  interruptWire(slot: number): InterruptLine;
  /** Whether accesses to this range reach the bus. */
  forwards(space: 'port' | 'memory', address: number, size: number): boolean;
}

/** The slot is taken, or the bus has no free one. */
export class PciSlotError extends Error {
  override readonly name = 'PciSlotError';
}

/** The root bus has 32 slots, a PCI Express link just one. */
const SLOTS = { root: 32, link: 1 } as const;

/** One PCI bus: function 0 of each slot. */
export class PciBus implements PciSlot {
  readonly name: string;
  readonly type: keyof typeof SLOTS;
  readonly #upstream: PciUpstream;
  readonly #slots: (PciFunction | null)[];

  constructor(name: string, type: keyof typeof SLOTS, upstream: PciUpstream) {
    this.name = name;
    this.type = type;
    this.#upstream = upstream;
    this.#slots = new Array(SLOTS[type]).fill(null);
  }

  /** The functions in slot order, without empty slots. */
  get functions(): { readonly slot: number; readonly fn: PciFunction }[] {
    return this.#slots.flatMap((fn, slot) => (fn === null ? [] : [{ slot, fn }]));
  }

  /** Puts a function into `slot`, or the first free one. @returns the slot. @throws PciSlotError */
  plug(fn: PciFunction, slot = this.#slots.indexOf(null)): number {
    if (slot < 0) {
      const count = this.#slots.length;
      throw new PciSlotError(`${this.name} has no free slot for "${fn.name}": all ${count} are taken`);
    }
    const taken = this.#slots[slot];
    if (taken !== null) {
      throw new PciSlotError(
        taken === undefined
          ? `${this.name} has no slot ${slot} for "${fn.name}"`
          : `slot ${slot} of ${this.name} holds "${taken.name}"; choose another for "${fn.name}"`,
      );
    }
    this.#slots[slot] = fn;
    fn.attach(this, slot);
    return slot;
  }

  at(slot: number): PciFunction | null {
    return this.#slots[slot] ?? null;
  }

  space(space: 'port' | 'memory'): Bus {
    return space === 'port' ? this.#upstream.ports : this.#upstream.memory;
  }

  forwards(space: 'port' | 'memory', address: number, size: number): boolean {
    return this.#upstream.forwards(space, address, size);
  }

  interruptWire(slot: number): InterruptLine {
    return this.#upstream.interruptWire(slot);
  }

  /** Remaps every BAR after a change upstream. */
  refresh(): void {
    for (const { fn } of this.functions) fn.refresh();
  }
}
