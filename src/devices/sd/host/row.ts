import { type ConfigurableType, deviceFields, type Zod } from '../../device-type.ts';
import { SdhciController } from './controller.ts';

const options = (z: Zod) => z.strictObject(deviceFields(z, 'sdhci-pci'));

export const sdhciPci: ConfigurableType<ReturnType<typeof options>> = {
  type: 'sdhci-pci',
  title: 'SD host controller',
  description: 'an SD host controller (SDHCI 3.0) with a slot for one SD card',
  bus: 'pci',
  provides: { kind: 'sd', first: 0, units: 1 },
  prefix: 'sdhci',
  qemu: { devices: ['sdhci-pci'], properties: {} },
  config: options,
  create(services, _options, name) {
    const controller = new SdhciController(name, services);
    return {
      device: controller,
      pci: controller.function,
      bus: controller.slot,
      get facts() {
        return [{ label: 'slot', value: controller.slot.card?.product ?? 'empty' }];
      },
    };
  },
};
