import * as z from 'zod';
import { BOOT_KINDS, type BootKind } from '../../devices/boot-device.ts';

export type BootSource = BootKind;

const sources = z
  .array(z.enum(BOOT_KINDS))
  .min(1, 'at least one of disk, cdrom, network, floppy')
  .refine(
    list => new Set(list).size === list.length,
    'expected each of disk, cdrom, network and floppy at most once',
  );

/** For the firmware; a kernel in the definition boots before any of these. */
export const boot = z.strictObject({
  order: sources.optional().meta({
    description: 'What the firmware boots from, in this order. Default: the order of the disks.',
    examples: [['cdrom', 'disk']],
  }),
  once: sources.optional().meta({
    description: 'The order for the first boot after a start; reboots use `order`.',
    examples: [['cdrom']],
  }),
  menu: z
    .boolean()
    .optional()
    .meta({
      description: 'Whether Esc shows a boot menu while the firmware starts.',
      examples: [true],
    }),
  'menu-wait': z
    .int()
    .min(0, 'at least 0 ms')
    .max(65_535, 'at most 65535 ms')
    .optional()
    .meta({ description: 'How long the menu waits for the key, in milliseconds.', examples: [3000] }),
  'retry-wait': z
    .int()
    .min(0, 'at least 0 ms')
    .max(65_535, 'at most 65535 ms')
    .optional()
    .meta({
      description:
        'How long the BIOS waits, in milliseconds, before it starts over when it has found nothing to boot. Default: it stops there.',
      examples: [5000],
    }),
  serial: z
    .boolean()
    .optional()
    .meta({
      description:
        'Whether the firmware also uses COM1 as its console if the VM has a screen. Without a screen, it always does.',
      examples: [true],
    }),
});

export type Boot = z.output<typeof boot>;
