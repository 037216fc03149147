import * as z from 'zod';

const BOOT_SOURCES = ['disk', 'cdrom', 'network'] as const;

export type BootSource = (typeof BOOT_SOURCES)[number];

const sources = z
  .array(z.enum(BOOT_SOURCES))
  .min(1, 'at least one of disk, cdrom, network')
  .refine(
    list => new Set(list).size === list.length,
    'expected each of disk, cdrom and network at most once',
  );

/** For the firmware; a kernel in the definition boots before any of these. */
export const boot = z.strictObject({
  order: sources.optional().meta({
    description: 'What the firmware boots from, in this order; the order of the disks if absent.',
    examples: [['cdrom', 'disk']],
  }),
  once: sources.optional().meta({
    description: 'The order for the first boot after a start; reboots use order again.',
    examples: [['cdrom']],
  }),
});

export type Boot = z.output<typeof boot>;
