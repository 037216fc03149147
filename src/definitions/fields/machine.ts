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
      description: "The module's command line. Default: the file's path.",
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
      description: 'A host file with its content.',
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
          'The firmware that boots the guest: bios (SeaBIOS) or uefi (OVMF). Default: bios without a kernel, ' +
          'none with one.',
        examples: ['uefi'],
      }),
    'firmware-file': hostPath.optional().meta({
      description: 'The firmware image. Default: the one of the package seabios or ovmf.',
      examples: ['/usr/share/seabios/bios-256k.bin'],
    }),
    'firmware-variables': hostPath.optional().meta({
      description:
        'The file with the UEFI variables, which is created if it does not exist. Default: one that vring ' +
        'keeps for the VM.',
      examples: ['/srv/web_VARS.fd'],
    }),
    'secure-boot': z
      .boolean()
      .optional()
      .meta({
        description:
          "UEFI boots only signed images, with the keys of the package ovmf. Without SMM, the guest's kernel " +
          'could disable this.',
        examples: [true],
      }),
    kernel: hostPath.optional().meta({
      description:
        'The kernel to boot: directly, a bzImage, an ELF with a PVH note, or a multiboot kernel; through ' +
        '`firmware`, a bzImage, or with uefi an application.',
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
    'fw-cfg': z
      .array(fwCfgFile)
      .max(64, 'at most 64 files')
      .optional()
      .meta({
        description:
          "Files for the firmware and the guest through QEMU's fw_cfg, for example an Ignition configuration. " +
          'Requires firmware.',
      }),
    uuid: z
      .guid('a UUID, such as 3f2504e0-4f89-11d3-9a0c-0305e82c3301')
      .optional()
      .meta({
        description: "The machine's UUID. Default: derived from its name.",
        examples: ['3f2504e0-4f89-11d3-9a0c-0305e82c3301'],
      }),
    smbios: smbiosOptions.optional().meta({
      description: 'Values in the SMBIOS tables (`dmidecode`).',
    }),
    clock: z
      .string()
      .refine(isClockStart, 'expected utc, localtime or a time, such as 2006-06-17T16:01:21')
      .optional()
      .meta({
        description:
          "The guest's clock when the VM starts: utc (default), localtime (the host's, as Windows expects), or a time.",
        examples: ['localtime'],
      }),
    hpet: z
      .boolean()
      .optional()
      .meta({
        description: 'High Precision Event Timers, for guests without a better clock. Default: false.',
        examples: [true],
      }),
    suspend: z
      .boolean()
      .optional()
      .meta({
        description: 'Whether the guest may suspend to RAM (ACPI S3), until `vring vm wake`. Default: true.',
        examples: [false],
      }),
    hibernate: z
      .boolean()
      .optional()
      .meta({
        description: 'Whether the guest may hibernate (ACPI S4), which turns the VM off. Default: true.',
        examples: [false],
      }),
    'hotplug-ports': z
      .int()
      .min(0, 'at least 0')
      .max(32, 'at most 32 root ports')
      .optional()
      .meta({
        description:
          'Spare PCI Express root ports, for devices that are attached while the VM runs. Default: none, ' +
          'because slots of bus 0 support ACPI hotplug.',
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
