import { own } from '../text/own.ts';
import { definitionJsonSchema, type JsonSchema } from './json-schema.ts';
import { deviceNames } from './qemu/devices.ts';
import { LEFT_OUT_OPTIONS } from './qemu/left-out.ts';
import { QEMU_OPTIONS } from './qemu/options.ts';
import { REFUSED_OPTIONS } from './qemu/refused.ts';

/** docs/definitions.md: its keys and options are generated from the code that reads them. */
export function definitionsMarkdown(): string {
  return [
    INTRODUCTION,
    keysTable(),
    QEMU,
    optionsTable(),
    DEVICES,
    leftOutTable(),
    REFUSED,
    refusedTable(),
    LIBVIRT,
  ].join('\n');
}

const INTRODUCTION = `# VM definitions

A VM is defined by one YAML file, \`NAME.yaml\`, in \`/etc/vring/vms\` (root) or \`~/.config/vring/vms\` (\`$XDG_CONFIG_HOME\`
is respected); \`$VRING_DEFINITIONS_DIR\` sets another folder.

\`\`\`yaml
name: web
description: The web server
memory: 2G
cpus: 2
machine:
  kernel: /boot/vmlinuz
  initrd: /boot/initrd.img
  append: console=ttyS0 root=/dev/vda1
disks:
  - file: /var/lib/vring/disks/web.img
  - file: /dev/vg0/data
    cache: none
autostart: true
on-crash: restart
\`\`\`

Write one with an editor, \`vring vm edit NAME\`, \`vring vm create\` or the UI. vring notices changes made by other
programs. When vring changes or deletes a file, it keeps the previous one as \`NAME.yaml~\`; a changed file keeps its
owner and permissions. Symbolic links that lead out of the folder are not followed.

**Values.** Sizes are written as \`512M\`, \`1.5G\` or \`64MiB\`; a bare number is in MiB. Paths are absolute. Many mappings
have a short form: \`memory: 2G\`, \`cpus: 2\`, \`network: user\`. YAML aliases and tags are not allowed, and a file may have
at most 256 KiB.

**Booting.** Without \`machine.kernel\`, firmware boots the guest in the order of \`boot\`: SeaBIOS, or OVMF with
\`firmware: uefi\` ([firmware.md](firmware.md)).

**Errors** name the file, the line, the column and what was expected, and suggest a fix for a typo:
\`web.yaml:3:1: memroy: unknown key "memroy": did you mean "memory"?\`. A definition may ask for a device that this
version does not have, or name a file that does not exist: it is saved, and the VM is marked with \`!\` until it can
start; \`vring vm show\` and the details in the UI (\`d\`) give every reason.

**Disk formats.** Set \`format\` for disks of untrusted guests. A disk without it is probed before each start: raw disks
and qcow2 images start, and an image in another format, which the guest would overwrite as a raw disk, is refused with
the command that converts it. Because the guest can write anything to its disk, even to the first sector, a probed
format never opens another file: a qcow2 image with a backing file starts only with \`format: qcow2\`. A guest that writes
another format's header to its own raw disk, for instance with \`dd of=/dev/vda\`, keeps running, but its next start is
refused or reads the disk as that image, until the definition has \`format: raw\`. QEMU fails that write instead. See
[images.md](images.md).

**Editors.** \`vring vm schema\` prints the JSON Schema. With the YAML language server, an editor checks and completes a
definition that starts with

\`\`\`yaml
# yaml-language-server: $schema=/path/to/vring.schema.json
\`\`\`

## Keys
`;

const QEMU = `## QEMU options

\`vring run\` and \`vring vm create NAME --\` accept QEMU's options as in its manual and in start scripts, optionally
preceded by the name of the program. Nothing is ignored silently. Each option, and each setting of an option,

- becomes part of the VM,
- is left out and reported with the reason, if the guest does not need it, or
- is refused with an alternative, if the guest needs it and vring does not have it.

If an option is repeated, the last one counts. A comma in a value is written \`,,\`; a value may also be JSON. As in
QEMU, a guest that boots through firmware gets a standard VGA and, unless an option configures networks, a network card
on a user network; \`-nodefaults\` disables both. Cards without a model are e1000, or e1000e on a q35. The empty CD-ROM
drive that QEMU adds is left out. A drive without \`format=\` is probed, and refused if it looks like anything but a raw
disk.

CPU models are QEMU's (\`Haswell\`, \`EPYC-v2\`, \`qemu64\`, \`x86-64-v2-AES\`, ...): a guest sees the model's family, model,
stepping and name, the vendor of the host's CPU, and those of the model's features that the host has. \`vring run\` and
\`vring vm create\` list the missing ones; with \`enforce\`, the VM does not start without them. A kernel that takes
multiboot modules gets them from \`-initrd "FILE ARGUMENTS,FILE ARGUMENTS"\`.

These options become part of the VM:
`;

const DEVICES = `These values of \`-device\` are accepted, with \`id=\` and the properties in parentheses:

- disks (\`drive\`, \`serial\`, \`bootindex\`; for virtio-blk also \`num-queues\`, \`packed\`, \`event_idx\`, \`indirect_desc\`,
  \`queue_reset\`, \`iommu_platform\`)
- network cards (\`netdev\`, \`mac\`, \`bootindex\`)
- \`virtio-rng-pci\` (\`rng\`, \`max-bytes\`, \`period\`)
- \`vfio-pci\` (\`host\` or \`sysfsdev\`, \`iommufd\`, \`vf-token\`, \`bus\`, \`addr\`, \`multifunction\`, \`rombar\`, \`romfile\`,
  \`bootindex\`, \`x-vga\`, \`x-pci-*-id\`, \`x-no-*\`, \`x-intx-mmap-timeout-ms\`, \`x-req\`), and the root ports and bridges that
  such a device is behind (\`pcie-root-port\`, \`ioh3420\`, \`pcie-pci-bridge\`, \`pci-bridge\`, ...)
- \`isa-debug-exit\` (\`iobase\`, \`iosize\`)
- all others in the device table

Their names: ${deviceList()}

Other PCI bridges, controllers and input devices, and channels to host programs, are left out.

These options are left out, and reported:
`;

const REFUSED = `
These options are refused:
`;

function deviceList(): string {
  return `${deviceNames().map(code).join(', ')}.`;
}

const LIBVIRT = `## libvirt's domain XML

\`vring vm import FILE.xml\` creates a definition from the output of \`virsh dumpxml NAME\`, and lists each element and
attribute that was left out, with its lines and the reason. SCSI controllers become virtio-scsi; the list says so, too.
These are used:

| Element | Becomes |
| --- | --- |
| \`name\`, \`title\`, \`description\` | \`name\`, \`description\` (the first line) |
| \`memory\`, \`memoryBacking/hugepages\` | \`memory\`; units are case-insensitive, as in libvirt |
| \`vcpu\`, \`cpu/model\` (custom), \`cpu/topology\`, \`cpu/feature\`, \`features/kvm/hidden\` | \`cpus\`; \`check='full'\` becomes \`enforce\` |
| \`cpu/numa\` (several cells) | \`numa\` |
| \`cputune/vcpupin\` | \`cpus.pinning\`, if each vCPU has one host CPU |
| \`os\`: \`type\` (hvm, x86_64), \`kernel\`, \`initrd\`, \`cmdline\`, \`firmware\`, \`loader\`, \`nvram\` | \`machine\`; for firmware that needs SMM, some that does without |
| \`os/boot\`, \`boot order\` of devices | \`boot.order\` |
| \`clock\` (utc, localtime, absolute, variable without an adjustment), \`clock/timer\` (hpet) | \`machine.clock\`, \`machine.hpet\` |
| \`sysinfo\` (smbios), with \`os/smbios\` (sysinfo) | \`machine.smbios\` |
| \`pm\` (suspend-to-mem, suspend-to-disk) | \`machine.suspend\`, \`machine.hibernate\` |
| \`on_crash\`, \`on_reboot\` | \`on-crash\`, \`on-reboot\` |
| \`devices/disk\` (file or block; disk, cdrom or floppy; virtio, scsi, ide, sata, nvme, usb, sd, fdc) | \`disks\`, with \`cache\`, \`discard\`, \`detect_zeroes\` and the error policies of \`driver\`; the totals of \`iotune\` become \`limits\` |
| \`devices/controller\` (nvme) with \`serial\` | the serial number of its disk; if it has several, \`devices\`, with each disk as a namespace |
| \`devices/controller\` (scsi) with \`driver\`: \`queues\`, \`cmd_per_lun\`, \`max_sectors\` | \`devices\`, if it has any of these; all SCSI disks are on the first one |
| \`devices/interface\` (user with or without passt, network, bridge, ethernet, direct, null) with \`mac\`, \`mtu\`, \`link\`, \`driver\`, \`bandwidth\` | \`nics\`; a network is one of vring's with the same name (\`vring net\`) |
| \`devices/hostdev\` (pci), \`devices/interface\` (hostdev) with MAC address and VLAN | \`passthrough\`, and the \`root-port\` or bridge that it is behind as \`devices\` |
| \`devices/watchdog\` (i6300esb), \`panic\` (isa, pvpanic) | \`devices\` |
| \`devices/rng\` with \`rate\`, \`memballoon\` | \`rng\`, \`balloon\` |
| \`devices/parallel\` | \`parallel\` |
| \`devices/serial\`, \`console\` | \`console\`; more serial ports are \`serial\`, more virtio consoles \`devices\` |
`;

function keysTable(): string {
  return table(['Key', 'Value', 'Default', 'Description', 'Example'], keyRows(definitionJsonSchema(), ''));
}

function keyRows(schema: JsonSchema, above: string): string[][] {
  // For a mapping with several variants, the one that has the key.
  const variant = schema.properties?.type?.const;
  const required = schema.required ?? [];
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    const path = above === '' ? key : `${above}.${key}`;
    const example = value.examples?.[0];
    const row = [
      variant === undefined || key === 'type' ? code(path) : `${code(path)} (${variant})`,
      valueText(value),
      required.includes(key) ? 'required' : defaultText(value),
      value.description ?? '',
      example === undefined ? '' : code(inline(example)),
    ];
    return LISTED_ELSEWHERE.includes(path) ? [row] : [row, ...rowsBelow(value, path)];
  });
}

/**
 * The device table has the options of devices; the networks of a hub are those of cards; a description has all the
 * keys.
 */
const LISTED_ELSEWHERE = ['devices', 'nics[].network.networks', 'nics[].virtio'];

function rowsBelow(schema: JsonSchema, path: string): string[][] {
  const inside = schema.type === 'array' ? rowsBelow(schema.items ?? {}, `${path}[]`) : keyRows(schema, path);
  const alternatives = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap(each =>
    rowsBelow(each, path),
  );
  return [...inside, ...alternatives];
}

function valueText(schema: JsonSchema): string {
  if (schema.const !== undefined) return code(inline(schema.const));
  if (schema.enum !== undefined) return schema.enum.map(each => code(inline(each))).join(', ');
  const alternatives = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  if (alternatives.length > 0) return [...new Set(alternatives.map(valueText))].join(' or ');
  if (schema.type === 'array') return `list of ${listed(schema.items ?? {})}`;
  return VALUES[schema.type ?? ''] ?? '';
}

function listed(items: JsonSchema): string {
  const text = valueText(items);
  return own(PLURALS, text) ?? text;
}

const PLURALS: Readonly<Record<string, string>> = { text: 'texts', number: 'numbers', mapping: 'mappings' };

const VALUES: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'number',
  boolean: 'true or false',
  object: 'mapping',
};

function defaultText({ default: value }: JsonSchema): string {
  const isNothing = typeof value === 'object' && value !== null && Object.keys(value).length === 0;
  return value === undefined || isNothing ? '' : code(inline(value));
}

function optionsTable(): string {
  const rows = Object.entries(QEMU_OPTIONS).map(([name, { value, becomes }]) => [
    code(value === undefined ? `-${name}` : `-${name} ${value}`),
    becomes,
  ]);
  return table(['Option', 'Becomes'], rows);
}

/** Options with the same reason share a row. */
function leftOutTable(): string {
  const byReason = Map.groupBy(Object.entries(LEFT_OUT_OPTIONS), ([, { reason }]) => reason);
  const rows = [...byReason].map(([reason, options]) => [
    options.map(([name]) => code(`-${name}`)).join(', '),
    reason,
  ]);
  return table(['Option', 'Why a guest does not need it'], rows);
}

function refusedTable(): string {
  const rows = Object.entries(REFUSED_OPTIONS).map(([name, { instead }]) => [code(`-${name}`), instead]);
  return table(['Option', 'Instead'], rows);
}

/** A value as YAML, on one line. */
function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([key, each]) => `${key}: ${inline(each)}`)
      .join(', ')}}`;
  }
  return String(value);
}

function code(text: string): string {
  return `\`${text}\``;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return `${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n`;
}
