import { type ConfigurableType, deviceFields, type Zod } from '../../device-type.ts';
import { builtVga, Vga } from './vga.ts';
import { addVgaBios } from './vga-bios.ts';

const MiB = 2 ** 20;

const options = (z: Zod) => {
  const side = z.int().min(64, 'at least 64').max(8192, 'at most 8192');
  return z.strictObject({
    ...deviceFields(z, 'vga'),
    vgamem: z
      .int()
      .min(1, 'at least 1')
      .max(256, 'at most 256')
      .refine(size => Number.isInteger(Math.log2(size)), 'a power of two, such as 16')
      .default(16)
      .describe('MiB of memory, which limits the modes that it has'),
    xres: side.default(1280).describe('the width that its monitor prefers'),
    yres: side.default(800).describe('the height that its monitor prefers'),
    edid: z.boolean().default(true).describe('whether its monitor describes itself (EDID)'),
    romfile: z
      .string()
      .optional()
      .describe("a file with its BIOS, empty for none; if absent, SeaBIOS's vgabios-stdvga.bin"),
    rombar: z.boolean().default(true).describe('whether the guest sees an expansion ROM'),
  });
};

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
    addVgaBios(device.function, services, { romfile, rombar }, 'vgabios-stdvga.bin');
    return { ...builtVga(device), facts: [{ label: 'memory', value: vgamem * MiB, unit: 'bytes' }] };
  },
};
