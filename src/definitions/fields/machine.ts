import * as z from 'zod';
import { hostPath } from './text.ts';

const bootModule = z.strictObject({
  file: hostPath.meta({ description: 'The file on the host.', examples: ['/srv/hello.elf'] }),
  'command-line': z
    .string()
    .max(4096, 'at most 4096 characters')
    .regex(/^[^\u0000]*$/, 'text without NUL characters')
    .optional()
    .meta({
      description: "The module's command line; the file's path if absent.",
      examples: ['hello.elf 1 2'],
    }),
});

const settings = z
  .strictObject({
    firmware: z
      .enum(['bios', 'uefi'])
      .optional()
      .meta({
        description: 'The firmware that boots the guest from its disks; bios without a kernel.',
        examples: ['uefi'],
      }),
    'firmware-file': hostPath.optional().meta({
      description: 'The file with the firmware; that of the package seabios if absent.',
      examples: ['/usr/share/seabios/bios-256k.bin'],
    }),
    kernel: hostPath.optional().meta({
      description:
        'Boot this kernel directly, without firmware: a bzImage, an ELF with a PVH note, or a multiboot ELF.',
      examples: ['/boot/vmlinuz'],
    }),
    initrd: hostPath
      .optional()
      .meta({ description: "The kernel's initial RAM disk.", examples: ['/boot/initrd.img'] }),
    modules: z
      .array(bootModule)
      .max(64, 'at most 64 modules')
      .optional()
      .meta({ description: 'The modules of a multiboot kernel, instead of an initrd.' }),
    append: z
      .string()
      .max(65_536, 'at most 64 KiB')
      .regex(/^[^\u0000]*$/, 'text without NUL characters')
      .optional()
      .meta({ description: "The kernel's command line.", examples: ['console=ttyS0 root=/dev/vda1'] }),
    uuid: z
      .guid('expected a UUID, such as 3f2504e0-4f89-11d3-9a0c-0305e82c3301')
      .optional()
      .meta({
        description: 'What the firmware says who the VM is; a UUID that follows from its name if absent.',
        examples: ['3f2504e0-4f89-11d3-9a0c-0305e82c3301'],
      }),
    'hotplug-ports': z
      .int()
      .min(0, 'at least 0')
      .max(32, 'at most 32 root ports')
      .optional()
      .meta({
        description:
          'PCI Express root ports to spare, for devices that are attached while the VM runs; none if absent: slots of bus 0, which guests manage by ACPI, need none.',
        examples: [4],
      }),
  })
  .superRefine((value, context) => {
    const problem = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message, input: value });
    if (value.kernel !== undefined) {
      for (const key of ['firmware', 'firmware-file'] as const)
        if (value[key] !== undefined)
          problem(key, `machine.kernel and machine.${key} exclude each other: remove one`);
      if (value.initrd !== undefined && value.modules !== undefined)
        problem('modules', 'machine.initrd and machine.modules exclude each other: remove one');
      return;
    }
    for (const key of ['initrd', 'modules', 'append'] as const) {
      if (value[key] !== undefined) problem(key, 'this needs a kernel: set machine.kernel');
    }
  });

export const machine = settings.default({});
