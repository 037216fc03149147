import { isaDevice } from '../../acpi/acpi-parts.ts';
import { memory32 } from '../../acpi/resources.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../../device-type.ts';
import { Hpet } from './hpet.ts';
import { BLOCK_ID, REG } from './registers.ts';

/** Its address on PCs. */
const ADDRESS = 0xfed0_0000;

const options = (z: Zod) => z.strictObject(deviceFields(z, 'hpet'));

export const hpet: ConfigurableType<ReturnType<typeof options>> = {
  type: 'hpet',
  title: 'High Precision Event Timers',
  description: 'a counter and three timers, which guests without a better clock use',
  bus: 'isa',
  single: true,
  prefix: 'hpet',
  config: options,
  create(services, _, name) {
    const { clock, interruptLine: line, replacePit } = services;
    const device = new Hpet({ name, clock, line, replacePit });
    return {
      device,
      memory: [{ start: ADDRESS, size: REG.size, handler: device }],
      acpi: {
        systemBus: isaDevice('HPET', 'PNP0103', memory32(ADDRESS, REG.size)),
        hpet: { blockId: BLOCK_ID, address: ADDRESS },
      },
    };
  },
};
