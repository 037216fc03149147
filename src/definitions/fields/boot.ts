import * as z from 'zod';

const BOOT_SOURCES = ['disk', 'cdrom', 'network'] as const;

export type BootSource = (typeof BOOT_SOURCES)[number];

const sources = z
  .array(z.enum(BOOT_SOURCES))
  .min(1, 'at least one of disk, cdrom, network')
  .refine(list => new Set(list).size === list.length, 'expected each of disk, cdrom and network once');

/** For the firmware: a kernel of the definition is booted before any of these. */
export const boot = z.strictObject({
  order: sources.optional().meta({
    description: 'Where the firmware looks for a system, in this order; the order of the disks if absent.',
    examples: [['cdrom', 'disk']],
  }),
  once: sources.optional().meta({
    description: 'The order for the first boot after a start; a reboot goes by order again.',
    examples: [['cdrom']],
  }),
});

export type Boot = z.output<typeof boot>;
