import * as z from 'zod';
import { hostPath } from './text.ts';

const settings = z
  .strictObject({
    firmware: z
      .enum(['bios', 'uefi'])
      .optional()
      .meta({
        description: 'The firmware that boots the guest from its disks; bios without a kernel.',
        examples: ['uefi'],
      }),
    kernel: hostPath.optional().meta({
      description:
        'Boot this kernel at once, without firmware: a bzImage, an ELF with a PVH note, or a multiboot ELF.',
      examples: ['/boot/vmlinuz'],
    }),
    initrd: hostPath
      .optional()
      .meta({ description: "The kernel's initial RAM disk.", examples: ['/boot/initrd.img'] }),
    append: z
      .string()
      .max(65_536, 'at most 64 KiB')
      .regex(/^[^\u0000]*$/, 'no NUL character')
      .optional()
      .meta({ description: "The kernel's command line.", examples: ['console=ttyS0 root=/dev/vda1'] }),
  })
  .superRefine((value, context) => {
    const problem = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message, input: value });
    if (value.kernel !== undefined) {
      if (value.firmware !== undefined)
        problem('firmware', 'expected either a kernel or a firmware, not both');
      return;
    }
    for (const key of ['initrd', 'append'] as const) {
      if (value[key] !== undefined) problem(key, 'this is for a kernel: name one in machine.kernel');
    }
  });

export const machine = settings.default({});
