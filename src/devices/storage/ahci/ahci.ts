import { type ConfigurableType, deviceFields, type Zod } from '../../device-type.ts';
import { AhciController } from './controller.ts';
import { AHCI_PORTS } from './registers.ts';

const options = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'ahci'),
    'staggered-spin-up': z
      .boolean()
      .default(false)
      .describe('drives appear one by one, when their driver spins them up'),
  });

export const ahci: ConfigurableType<ReturnType<typeof options>> = {
  type: 'ahci',
  title: 'SATA controller (AHCI)',
  description: "an ICH9's SATA controller in AHCI mode, with six ports for disks and CD drives",
  bus: 'pci',
  provides: { kind: 'sata', first: 0, units: AHCI_PORTS },
  prefix: 'ahci',
  qemu: { devices: ['ahci', 'ich9-ahci'], properties: {} },
  config: options,
  create(services, options, name) {
    const controller = new AhciController({ name, staggeredSpinUp: options['staggered-spin-up'] }, services);
    return {
      device: controller,
      pci: controller.function,
      bus: controller,
      facts: [{ label: 'ports', value: AHCI_PORTS }],
    };
  },
};
