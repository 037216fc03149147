import type { Zod } from '../../zod.ts';
import { MONITOR_SIDE } from '../monitor-size.ts';

/** The options of an adapter's monitor. */
export function monitorFields(z: Zod) {
  const { least, most } = MONITOR_SIDE;
  const side = z.int().min(least, `at least ${least}`).max(most, `at most ${most}`);
  return {
    xres: side.default(1280).describe('the width that its monitor prefers'),
    yres: side.default(800).describe('the height that its monitor prefers'),
    edid: z.boolean().default(true).describe('whether its monitor describes itself (EDID)'),
  };
}

/** The options of a VGA beyond those of its monitor. @param memory default, in MiB. @param bios the name of its file */
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
