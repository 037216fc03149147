import type { Device, DeviceState } from '../../device.ts';
import type { BuiltDevice } from '../../device-type.ts';
import type { MachineServices } from '../../machine-services.ts';
import { PciFunction, type PciIdentity } from '../../pci/pci-function.ts';
import { stateOf } from '../../state.ts';
import type { Statistic } from '../../statistic.ts';
import { ScreenSource } from '../screen-source.ts';
import { VgaCore, type VgaOptions } from './vga-core.ts';

/** QEMU's identity (docs/specs/standard-vga). The revision says that the BAR has EDID and the extended registers. */
const IDENTITY: PciIdentity = {
  vendor: 0x1234,
  device: 0x1111,
  revision: 2,
  classCode: 0x03_0000,
  subsystemVendor: 0x1af4,
  subsystem: 0x1100,
};

const REGISTER_BAR = { index: 2, size: 0x1000 } as const;

/** QEMU's standard VGA. */
export class Vga implements Device {
  readonly name: string;
  readonly function: PciFunction;
  readonly screen: ScreenSource;
  readonly core: VgaCore;
  readonly #frames: Statistic;

  constructor(options: VgaOptions, services: MachineServices) {
    const { name } = options;
    this.name = name;
    this.function = new PciFunction(name, IDENTITY);
    this.#frames = services.statistic({ device: name, name: 'frames' });
    this.core = new VgaCore(options, this.function, services);
    const { index, size } = REGISTER_BAR;
    this.function.addBar(index, { kind: 'memory32', size, handler: this.core.mmio });
    this.screen = new ScreenSource(services.clock, this.core.painter, count => this.#frames.add(count));
  }

  reset(): void {
    this.function.reset();
    this.core.reset();
  }

  save(): DeviceState {
    return { pci: this.function.save(), ...this.core.save() };
  }

  load(state: DeviceState): void {
    this.core.load(state, () => this.function.load(stateOf(state, 'pci')));
  }

  close(): void {
    this.screen.close();
    this.core.close(() => this.function.close());
    this.#frames.release();
  }
}

/** What a machine connects for an adapter with a VGA. */
export function builtVga(
  device: Device & { readonly screen: ScreenSource },
  fn: PciFunction,
  { ports, window, textMode }: VgaCore,
): BuiltDevice {
  return {
    device,
    pci: fn,
    ports,
    memory: [window],
    capabilities: {
      screen: { next: (...given) => device.screen.next(...given), ...(textMode && { textMode }) },
    },
  };
}
