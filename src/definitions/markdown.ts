import { own } from '../text/own.ts';
import { definitionJsonSchema, type JsonSchema } from './json-schema.ts';
import { deviceNames } from './qemu/devices.ts';
import { LEFT_OUT_OPTIONS } from './qemu/left-out.ts';
import { QEMU_OPTIONS } from './qemu/options.ts';
import { REFUSED_OPTIONS } from './qemu/refused.ts';

/** docs/definitions.md: the keys and options come from what reads them. */
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

const INTRODUCTION = `# Definitions of VMs

A VM is defined by one YAML file, \`NAME.yaml\`, in \`/etc/vring/vms\` (root) or \`~/.config/vring/vms\`
(\`$XDG_CONFIG_HOME\` is respected); \`$VRING_DEFINITIONS_DIR\` names another folder. Changes by others are noticed. When
a file is changed or deleted by vring, the old one is kept as \`NAME.yaml~\`; a changed one keeps its owner and permissions. A file
that is a link out of the folder is not read.

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

A wrong key or value is refused with file, line, column and what was expected, and a slip is recognized:
\`web.yaml:3:1: memroy: unknown key "memroy": did you mean "memory"?\`. A definition may ask for something that this version
does not support, such as firmware or a network card, or name a file that does not exist: it is saved, and until then the VM is
marked with \`!\`; \`vring vm show\` and the details in the UI (\`d\`) give every reason. Aliases and tags of YAML are not
taken, nor are files of more than 256 KiB.

A disk without \`format\` has its content looked at before each start. Disks are raw in this version, so that an image of another format,
which the guest would overwrite, is refused with the command that converts it. The guest may write anything, to the first sector too: vring
never opens a backing file or parses a disk, so nothing that a guest writes gives it access to another file of the host. A guest that
writes such a header to its own disk, with \`dd of=/dev/vda\` for instance, runs on, but the next start is refused until the
definition has \`format: raw\`. QEMU fails that write instead. Say \`format: raw\` for guests that you do not trust to start again.

Sizes are written \`512M\`, \`1.5G\`, \`64MiB\`; a bare number counts MiB. Paths are absolute. Without \`machine.kernel\`, firmware
boots the guest; \`boot\` is for the firmware. Where a mapping is more than is needed, there is a short form: \`memory: 2G\`,
\`cpus: 2\`, \`network: user\`.

\`vring vm schema\` prints the JSON Schema. With the YAML language server, an editor checks and completes a definition
whose first line is

\`\`\`yaml
# yaml-language-server: $schema=/path/to/vring.schema.json
\`\`\`

## Keys
`;

const QEMU = `## Options of QEMU

\`vring run\` and \`vring vm create NAME --\` take QEMU's options, as its manual and start scripts have them; the name of the
program may stand before them. Each option has one of three outcomes: it becomes a part of the VM; it changes nothing that a guest
would miss, and is left out and named, with the reason; or it asks for something that a guest would miss, and is refused, with what to
use instead. Nothing is ignored silently. The same holds for the settings of an option. Of an option that is given twice, the last
counts. A comma in a value is written \`,,\`; a value may also be JSON. Devices that QEMU adds unasked (a network card, a CD-ROM drive,
a graphics card) are not there. A drive without \`format=\` is probed, and refused when it looks like anything but a raw disk.

CPU models are QEMU's (\`Haswell\`, \`EPYC-v2\`, \`qemu64\`, \`x86-64-v2-AES\`, ...): a guest sees the model's family, model, stepping and name,
the vendor of the host's CPU, and those of the model's features that the host has. \`vring run\` and \`vring vm create\` name the others; with
\`enforce\` a start is refused instead. A kernel that takes multiboot modules gets \`-initrd "FILE ARGUMENTS,FILE ARGUMENTS"\` as a list.

These become a part of the VM:
`;

const DEVICES = `\`-device\` takes these, with \`id=\` and the properties in brackets: disks (\`drive\`, \`serial\`, \`bootindex\`; \`num-queues\` for
virtio-blk), network cards (\`netdev\`, \`mac\`, \`bootindex\`), \`virtio-rng-pci\` (\`rng\`), \`vfio-pci\` (\`host\`), \`isa-debug-exit\` (\`iobase\`, \`iosize\`),
and by the device table all others:

${deviceList()}

PCI bridges, disk and USB controllers, input devices, pvpanic and channels to programs of the host are left out.

These options are left out, and named:
`;

const REFUSED = `
These are refused:
`;

function deviceList(): string {
  return `${deviceNames().map(code).join(', ')}.`;
}

const LIBVIRT = `## libvirt's domain XML

\`vring vm import FILE.xml\` makes a definition of what \`virsh dumpxml NAME\` writes, and lists each element and attribute that was
left out, with its line. These are read:

| Element | Becomes |
| --- | --- |
| \`name\`, \`title\`, \`description\` | \`name\`, \`description\` (the first line) |
| \`memory\`, \`memoryBacking/hugepages\` | \`memory\`; units in any letter case, as libvirt reads them |
| \`vcpu\`, \`cpu/model\` (custom), \`cpu/topology\`, \`cpu/feature\`, \`features/kvm/hidden\` | \`cpus\`; \`check='full'\` becomes \`enforce\` |
| \`cpu/numa\` (several cells) | \`numa\` |
| \`cputune/vcpupin\` | \`cpus.pinning\`, if each vCPU has one host CPU |
| \`os\`: \`type\` (hvm, x86_64), \`kernel\`, \`initrd\`, \`cmdline\`, \`firmware\`, \`loader\` | \`machine\`; vring brings its own firmware |
| \`os/boot\`, \`boot order\` of devices | \`boot.order\` |
| \`on_crash\`, \`on_reboot\` | \`on-crash\`, \`on-reboot\` |
| \`devices/disk\` (file or block; disk or cdrom; virtio, scsi, ide, sata) | \`disks\`; sata becomes ide |
| \`devices/interface\` (user, network, bridge, ethernet, direct) | \`nics\`; network becomes user |
| \`devices/hostdev\` (pci) | \`passthrough\` |
| \`devices/rng\`, \`memballoon\` | \`rng\`, \`balloon\` |
| \`devices/serial\`, \`console\` | \`console\`; one beside the first is left out |
`;

function keysTable(): string {
  return table(['Key', 'Value', 'Default', 'What it is', 'Example'], keyRows(definitionJsonSchema(), ''));
}

function keyRows(schema: JsonSchema, above: string): string[][] {
  // Of a mapping of several kinds, which one has the key.
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
    // The options of devices are those of the device table.
    return path === 'devices' ? [row] : [row, ...rowsBelow(value, path)];
  });
}

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
  return table(['Option', 'Why a guest does not miss it'], rows);
}

function refusedTable(): string {
  const rows = Object.entries(REFUSED_OPTIONS).map(([name, { instead }]) => [code(`-${name}`), instead]);
  return table(['Option', 'Instead'], rows);
}

/** A value as it stands in YAML, on one line. */
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
