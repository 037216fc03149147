import type { Bus } from '../bus.ts';
import type { InterruptLine } from '../device.ts';
import type { PciFunction, PciPlace, PciSlot } from './pci-function.ts';

/** The upstream side of a bus: the host, or a bridge. */
export interface PciUpstream {
  readonly ports: Bus;
  readonly memory: Bus;
  /** Whether requests from the bus reach memory. */
  readonly forwardsUp: boolean;
  /** A new end of the wire that a pin in `slot` drives. @param pin 0 for INTA# to 3 for INTD# */
  interruptWire(slot: number, pin: number): InterruptLine;
  /** Whether accesses to this range reach the bus. */
  forwards(space: 'port' | 'memory', address: number, size: number): boolean;
  /** Sets the speed and width of the link to the device on the bus. Absent if there is no link. */
  train?(link: number): void;
}

/** The place is taken, or the bus has no free one. */
export class PciSlotError extends Error {
  override readonly name = 'PciSlotError';
}

/** A root or conventional bus has 32 slots, a PCI Express link just one. */
const SLOTS = { root: 32, link: 1, conventional: 32 } as const;
const FUNCTIONS = 8;

export type PlacedFunction = PciPlace & { readonly fn: PciFunction };

/** One PCI bus: up to eight functions in each of its slots. */
export class PciBus implements PciSlot {
  readonly name: string;
  readonly type: keyof typeof SLOTS;
  readonly slots: number;
  readonly #upstream: PciUpstream;
  /** By slot * 8 + function. */
  readonly #functions: (PciFunction | null)[];

  constructor(name: string, type: keyof typeof SLOTS, upstream: PciUpstream) {
    this.name = name;
    this.type = type;
    this.slots = SLOTS[type];
    this.#upstream = upstream;
    this.#functions = new Array(this.slots * FUNCTIONS).fill(null);
  }

  /** The functions in the order of their places. */
  get functions(): PlacedFunction[] {
    return this.#functions.flatMap((fn, devfn) =>
      fn === null ? [] : [{ slot: devfn >>> 3, function: devfn & 7, fn }],
    );
  }

  /** The functions in `slot`, without gaps. */
  functionsOf(slot: number): PciFunction[] {
    return this.#functions.slice(FUNCTIONS * slot, FUNCTIONS * (slot + 1)).filter(fn => fn !== null);
  }

  /** The first slot without functions from `first` on; null if there is none below `end`. */
  freeSlot(first = 0, end = this.slots): number | null {
    for (let slot = first; slot < end; slot++) if (this.functionsOf(slot).length === 0) return slot;
    return null;
  }

  /**
   * Puts a function into function 0 of the first free slot, or into `place`. A guest finds functions 1-7 of a slot only
   * if function 0 is there.
   * @throws PciSlotError
   */
  plug(fn: PciFunction, place: PciPlace = this.#freePlace(fn)): PciPlace {
    const devfn = place.slot * FUNCTIONS + place.function;
    const taken = place.function < FUNCTIONS ? this.#functions[devfn] : undefined;
    if (taken !== null) {
      const where = `slot ${place.slot}${place.function === 0 ? '' : `, function ${place.function}`}`;
      throw new PciSlotError(
        taken === undefined
          ? `${this.name} has no ${where} for "${fn.name}"`
          : `${where} of ${this.name} holds "${taken.name}"; choose another for "${fn.name}"`,
      );
    }
    this.#functions[devfn] = fn;
    fn.attach(this, place);
    this.#markMultifunction(place.slot);
    return place;
  }

  /** Removes a function from its place, which reads as all ones from then on. */
  unplug(fn: PciFunction): void {
    const devfn = this.#functions.indexOf(fn);
    if (devfn < 0) return;
    this.#functions[devfn] = null;
    fn.detach();
    this.#markMultifunction(devfn >>> 3);
  }

  /** A free place next to other functions of the same device; null if there is none. */
  placeBeside({ deviceKey }: PciFunction): PciPlace | null {
    if (deviceKey === null) return null;
    const slot = this.functions.find(({ fn }) => fn.deviceKey === deviceKey)?.slot;
    if (slot === undefined) return null;
    const numbers = Array.from({ length: FUNCTIONS }, (_, number) => number);
    const free = numbers.find(number => this.at({ slot, function: number }) === null);
    return free === undefined ? null : { slot, function: free };
  }

  at({ slot, function: fn }: PciPlace): PciFunction | null {
    return this.#functions[slot * FUNCTIONS + fn] ?? null;
  }

  space(space: 'port' | 'memory'): Bus {
    return space === 'port' ? this.#upstream.ports : this.#upstream.memory;
  }

  forwards(space: 'port' | 'memory', address: number, size: number): boolean {
    return this.#upstream.forwards(space, address, size);
  }

  get busMaster(): boolean {
    return this.#upstream.forwardsUp;
  }

  train(link: number): void {
    this.#upstream.train?.(link);
  }

  interruptWire(slot: number, pin: number): InterruptLine {
    return this.#upstream.interruptWire(slot, pin);
  }

  /** Updates every function after a change upstream. */
  refresh(): void {
    for (const { fn } of this.functions) fn.refresh();
  }

  /** Resets every function, and everything behind it. */
  reset(): void {
    for (const { fn } of this.functions) fn.busReset();
    for (const { fn } of this.functions) fn.busResetDone();
  }

  #freePlace(fn: PciFunction): PciPlace {
    const beside = this.placeBeside(fn);
    if (beside !== null) return beside;
    const slot = this.freeSlot();
    if (slot !== null) return { slot, function: 0 };
    throw new PciSlotError(`${this.name} has no free slot for "${fn.name}": all ${this.slots} are taken`);
  }

  #markMultifunction(slot: number): void {
    const functions = this.functionsOf(slot);
    const several = functions.some(fn => fn.place.function > 0);
    for (const fn of functions) fn.setMultifunction(several);
  }
}
