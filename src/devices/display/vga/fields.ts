import type { Zod } from '../../zod.ts';

/** The options of an adapter's monitor. */
export function monitorFields(z: Zod) {
  const side = z.int().min(64, 'at least 64').max(8192, 'at most 8192');
  return {
    xres: side.default(1280).describe('the width that its monitor prefers'),
    yres: side.default(800).describe('the height that its monitor prefers'),
    edid: z.boolean().default(true).describe('whether its monitor describes itself (EDID)'),
  };
}

/** The options of a VGA beside those of its monitor. @param memory MiB if absent. @param bios the name of its file */
export function vgaFields(z: Zod, { memory, bios }: { readonly memory: number; readonly bios: string }) {
  return {
    vgamem: z
      .int()
      .min(1, 'at least 1')
      .max(256, 'at most 256')
      .refine(size => Number.isInteger(Math.log2(size)), 'a power of two, such as 16')
      .default(memory)
      .describe('MiB of memory, which limits the modes that it has'),
    romfile: z
      .string()
      .optional()
      .describe(`a file with its BIOS, empty for none; if absent, SeaBIOS's ${bios}`),
    rombar: z.boolean().default(true).describe('whether the guest sees an expansion ROM'),
  };
}
