import { type ConfigurableType, deviceFields, type Zod } from '../../device-type.ts';
import { monitorFields, vgaFields } from './fields.ts';
import { builtVga, Vga } from './vga.ts';
import { addVgaBios } from './vga-bios.ts';

const MiB = 2 ** 20;

const BIOS = 'vgabios-stdvga.bin';

const options = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'vga'),
    ...monitorFields(z),
    ...vgaFields(z, { memory: 16, bios: BIOS }),
  });

export const vga: ConfigurableType<ReturnType<typeof options>> = {
  type: 'vga',
  title: 'VGA adapter',
  description: 'a screen: text and graphics modes of a VGA, and those of the Bochs display interface',
  bus: 'pci',
  hotplug: false,
  prefix: 'vga',
  definition: { key: 'display', value: 'vga' },
  libvirt: { element: 'video', models: ['vga', 'bochs'] },
  qemu: {
    devices: ['VGA', 'bochs-display'],
    properties: {
      vgamem_mb: 'vgamem',
      xres: 'xres',
      yres: 'yres',
      edid: 'edid',
      romfile: 'romfile',
      rombar: 'rombar',
    },
  },
  config: options,
  create(services, { vgamem, xres, yres, edid, romfile, rombar }, name) {
    const monitor = edid ? { width: xres, height: yres } : null;
    const device = new Vga({ name, memoryBytes: vgamem * MiB, monitor }, services);
    addVgaBios(device.function, services, { romfile, rombar }, BIOS);
    return {
      ...builtVga(device, device.function, device.core),
      facts: [{ label: 'memory', value: vgamem * MiB, unit: 'bytes' }],
    };
  },
};
