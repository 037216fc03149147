import { isaDevice } from '../acpi/acpi-parts.ts';
import { ports } from '../acpi/resources.ts';
import type { Device, DeviceState, IoHandler } from '../device.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../device-type.ts';
import { type ByteRegisters, byteWide } from '../legacy/byte-wide.ts';
import type { MachineServices } from '../machine-services.ts';
import { PciFunction } from '../pci/pci-function.ts';
import { stateOf } from '../state.ts';

/** Events (QEMU docs/specs/pvpanic, linux/uapi misc/pvpanic.h). */
const EVENT = { panicked: 0x01, crashLoaded: 0x02 } as const;
const EVENTS = EVENT.panicked | EVENT.crashLoaded;

const PORT = 0x505;
/** The ID by which Linux and Windows find it. */
const ACPI_ID = 'QEMU0001';

const RED_HAT = 0x1b36;
const PVPANIC_PCI = 0x0011;
const BAR_BYTES = 16;

type Services = Pick<MachineServices, 'request' | 'warn'>;

/** A byte with which a guest reports that it has panicked: its VM has crashed, and `on-crash` applies. */
class PanicRegister implements ByteRegisters {
  readonly #name: string;
  readonly #services: Services;

  constructor(name: string, services: Services) {
    this.#name = name;
    this.#services = services;
  }

  /** The supported events. */
  readByte(offset: number): number {
    return offset === 0 ? EVENTS : 0;
  }

  writeByte(offset: number, value: number): void {
    if (offset !== 0) return;
    if ((value & EVENT.panicked) !== 0) {
      this.#services.request({ kind: 'crash', reason: 'the guest has panicked' });
    } else if ((value & EVENT.crashLoaded) !== 0) {
      this.#services.warn(`${this.#name}: the guest has panicked, and its crash kernel takes over`);
    }
  }
}

/** The device on ISA, which ACPI describes. */
class Pvpanic implements Device {
  readonly name: string;
  readonly handler: IoHandler;

  constructor(name: string, services: Services) {
    this.name = name;
    this.handler = byteWide(new PanicRegister(name, services));
  }

  reset(): void {}

  save(): DeviceState {
    return {};
  }

  load(): void {}
}

class PvpanicPci implements Device {
  readonly name: string;
  readonly function: PciFunction;

  constructor(name: string, services: Services) {
    this.name = name;
    this.function = new PciFunction(name, {
      ...{ vendor: RED_HAT, device: PVPANIC_PCI, revision: 1, classCode: 0x08_8000 },
      ...{ subsystemVendor: 0x1af4, subsystem: 0x1100 },
    });
    const handler = byteWide(new PanicRegister(name, services));
    this.function.addBar(0, { kind: 'memory32', size: BAR_BYTES, handler });
  }

  reset(): void {
    this.function.reset();
  }

  save(): DeviceState {
    return { function: this.function.save() };
  }

  load(state: DeviceState): void {
    this.function.load(stateOf(state, 'function'));
  }

  close(): void {
    this.function.close();
  }
}

const options = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'pvpanic'),
    ioport: z
      .int()
      .min(0x100, 'a port from 0x100 to 0xffff')
      .max(0xffff, 'a port from 0x100 to 0xffff')
      .default(PORT)
      .describe('its port'),
  });

export const pvpanic: ConfigurableType<ReturnType<typeof options>> = {
  type: 'pvpanic',
  title: 'panic device',
  description:
    'a port through which the guest reports a panic: its VM counts as crashed, and `on-crash` applies',
  bus: 'isa',
  prefix: 'panic',
  libvirt: { element: 'panic', models: ['isa'] },
  qemu: { devices: ['pvpanic'], properties: { ioport: 'ioport' } },
  config: options,
  create(services, { ioport }, name) {
    const device = new Pvpanic(name, services);
    const path = `P${ioport.toString(16).toUpperCase().padStart(3, '0').slice(-3)}`;
    return {
      device,
      ports: [{ start: ioport, size: 1, handler: device.handler }],
      acpi: { systemBus: isaDevice(path, ACPI_ID, ports(ioport, 1)) },
      facts: [{ label: 'port', value: `0x${ioport.toString(16)}` }],
    };
  },
};

const pciOptions = (z: Zod) => z.strictObject(deviceFields(z, 'pvpanic-pci'));

export const pvpanicPci: ConfigurableType<ReturnType<typeof pciOptions>> = {
  type: 'pvpanic-pci',
  title: 'panic device on PCI',
  description: 'the same as a PCI device',
  bus: 'pci',
  prefix: 'panic',
  libvirt: { element: 'panic', models: ['pvpanic'] },
  qemu: { devices: ['pvpanic-pci'], properties: {} },
  config: pciOptions,
  create(services, _options, name) {
    const device = new PvpanicPci(name, services);
    return { device, pci: device.function };
  },
};
