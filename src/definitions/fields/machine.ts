import * as z from 'zod';
import { FW_CFG_NAME } from '../../devices/firmware/fw-cfg-items.ts';
import { smbiosOptions } from '../../vmm/boot/smbios-options.ts';
import { isClockStart } from '../../vmm/machine/clock-start.ts';
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

const fwCfgFile = z
  .strictObject({
    name: z
      .string()
      .regex(FW_CFG_NAME.pattern, FW_CFG_NAME.rule)
      .meta({ description: 'Its name in the guest.', examples: ['opt/com.coreos/config'] }),
    file: hostPath.optional().meta({
      description: 'The file on the host with its content.',
      examples: ['/srv/config.ign'],
    }),
    text: z
      .string()
      .max(65_536, 'at most 64 KiB')
      .optional()
      .meta({ description: 'Its content, instead of a file.', examples: ['X-PciMmio64Mb=65536'] }),
  })
  .refine(({ file, text }) => (file === undefined) !== (text === undefined), {
    message: 'expected file or text, one of them',
  });

const settings = z
  .strictObject({
    firmware: z
      .enum(['bios', 'uefi'])
      .optional()
      .meta({
        description:
          'The firmware that boots the guest: bios (SeaBIOS) or uefi (OVMF); without a kernel bios, and with one none.',
        examples: ['uefi'],
      }),
    'firmware-file': hostPath.optional().meta({
      description: 'The file with the firmware; if absent, where the packages seabios and ovmf have it.',
      examples: ['/usr/share/seabios/bios-256k.bin'],
    }),
    'firmware-variables': hostPath.optional().meta({
      description:
        'The file with the variables of UEFI firmware, which is made if it is not there; if absent, vring keeps one for the VM.',
      examples: ['/srv/web_VARS.fd'],
    }),
    'secure-boot': z
      .boolean()
      .optional()
      .meta({
        description:
          'UEFI starts only what is signed, by the keys that the package ovmf brings along; only the guest itself keeps that in force: there is no SMM.',
        examples: [true],
      }),
    kernel: hostPath.optional().meta({
      description:
        'Boot this kernel: directly, a bzImage, an ELF with a PVH note, or a multiboot ELF; with `firmware`, by that, a bzImage or, by uefi, an application.',
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
    'fw-cfg': z.array(fwCfgFile).max(64, 'at most 64 files').optional().meta({
      description:
        "Files that the firmware and the guest find by QEMU's fw_cfg, for example a configuration of Ignition; only with firmware.",
    }),
    uuid: z
      .guid('a UUID, such as 3f2504e0-4f89-11d3-9a0c-0305e82c3301')
      .optional()
      .meta({
        description: 'What the firmware says who the VM is; a UUID that follows from its name if absent.',
        examples: ['3f2504e0-4f89-11d3-9a0c-0305e82c3301'],
      }),
    smbios: smbiosOptions.optional().meta({
      description: 'What the SMBIOS tables say (`dmidecode`) in place of what they say by default.',
    }),
    clock: z
      .string()
      .refine(isClockStart, 'expected utc, localtime or a time, such as 2006-06-17T16:01:21')
      .optional()
      .meta({
        description:
          "What the guest's clock shows when the VM starts: utc, localtime (the host's, as Windows expects), or a time; utc if absent.",
        examples: ['localtime'],
      }),
    hpet: z
      .boolean()
      .optional()
      .meta({
        description: 'High Precision Event Timers, for guests without a better clock; false if absent.',
        examples: [true],
      }),
    suspend: z
      .boolean()
      .optional()
      .meta({
        description: 'Whether the guest may suspend to RAM (ACPI S3), until `vring vm wake`; true if absent.',
        examples: [false],
      }),
    hibernate: z
      .boolean()
      .optional()
      .meta({
        description: 'Whether the guest may hibernate (ACPI S4), which turns the VM off; true if absent.',
        examples: [false],
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
    for (const key of ['firmware-variables', 'secure-boot'] as const)
      if (value[key] !== undefined && value[key] !== false && value.firmware !== 'uefi')
        problem(key, 'this is for UEFI: set machine.firmware: uefi');
    if (value['secure-boot'] && value['firmware-file'] !== undefined)
      problem('secure-boot', 'machine.secure-boot chooses the firmware: remove machine.firmware-file');
    const hasFirmware = value.firmware !== undefined || value['firmware-file'] !== undefined;
    if (value.kernel !== undefined && !hasFirmware && value['fw-cfg'] !== undefined)
      problem('fw-cfg', 'a kernel that is booted directly has no fw_cfg: set machine.firmware');
    if (value.kernel !== undefined) {
      if (hasFirmware && value.modules !== undefined)
        problem('modules', 'firmware boots no kernel with modules: remove them, or the firmware');
      if (value.initrd !== undefined && value.modules !== undefined)
        problem('modules', 'machine.initrd and machine.modules exclude each other: remove one');
      return;
    }
    for (const key of ['initrd', 'modules', 'append'] as const) {
      if (value[key] !== undefined) problem(key, 'this needs a kernel: set machine.kernel');
    }
  });

export const machine = settings.default({});
