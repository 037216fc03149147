import type { AccessSize } from '../../src/devices/device.ts';
import { addEndpointCapability } from '../../src/devices/pci/capabilities.ts';
import { PciFunction } from '../../src/devices/pci/pci-function.ts';
import { ECAM } from '../../src/vmm/memory/layout.ts';
import type { FakeMachine } from './fake-machine.ts';

/** Reads return the offset, which shows which BAR answered where. */
const echo = { read: (offset: number) => offset, write: () => {} };

/** A function with one BAR and an interrupt pin. @param pin 0 for INTA# */
export function deviceWithBar(
  name: string,
  kind: 'memory32' | 'memory64' | 'io',
  size: number,
  pin = 0,
): PciFunction {
  const fn = new PciFunction(name, { vendor: 0xabcd, device: 1, revision: 0, classCode: 0 });
  fn.addBar(0, { kind, size, prefetchable: kind === 'memory64', handler: echo });
  fn.addInterruptPin(pin);
  addEndpointCapability(fn);
  return fn;
}

/** The configuration space of the function that a guest finds at an address, through ECAM. */
export class ConfigOf {
  readonly #machine: FakeMachine;
  readonly base: number;

  constructor(machine: FakeMachine, bus: number, slot = 0, fn = 0) {
    this.#machine = machine;
    this.base = ECAM.start + bus * 2 ** 20 + slot * 0x8000 + fn * 0x1000;
  }

  read(offset: number, size: AccessSize): number {
    return this.#machine.memoryBus.read(this.base + offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#machine.memoryBus.write(this.base + offset, size, value);
  }

  get exists(): boolean {
    return this.read(0, 4) !== 0xffff_ffff;
  }

  /** The capability with this ID. @throws if there is none */
  capability(id: number): number {
    for (let at = this.read(0x34, 1); at !== 0; at = this.read(at + 1, 1))
      if (this.read(at, 1) === id) return at;
    throw new Error(`there is no capability 0x${id.toString(16)}`);
  }
}
