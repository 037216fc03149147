import { type ConfigurableType, deviceFields, type Zod } from '../../device-type.ts';
import { PiixIde } from './piix-ide.ts';

/** The number of drives: two on each channel. */
const IDE_UNITS = 4;

/**
 * CMOS RAM: firmware's translation of CHS addresses, two bits per drive. LBA makes no difference to disks that need no
 * translation.
 */
const TRANSLATION = { register: 0x39, mask: 0xff, value: 0x55 } as const;

const options = (z: Zod) => z.strictObject({ ...deviceFields(z, 'piix3-ide') });

export const piix3Ide: ConfigurableType<ReturnType<typeof options>> = {
  type: 'piix3-ide',
  title: 'IDE controller',
  description: "Intel's PIIX3: two channels at the ports of a PC, each for two drives, with a bus master",
  bus: 'pci',
  provides: { kind: 'ide', first: 0, units: IDE_UNITS },
  hotplug: false,
  prefix: 'ide',
  qemu: { devices: ['piix3-ide'], properties: {} },
  config: options,
  create(services, _, name) {
    const device = new PiixIde({ name, memory: services.memory, line: irq => services.interruptLine(irq) });
    return {
      device,
      pci: device.function,
      ports: device.ports,
      bus: device.bus,
      cmos: [TRANSLATION],
      acpi: { fixedPorts: device.ports },
    };
  },
};
