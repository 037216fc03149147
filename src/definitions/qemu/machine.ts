import path from 'node:path';
import { likely } from '../../text/nearest.ts';
import { own } from '../../text/own.ts';
import type { BootSource } from '../fields/boot.ts';
import { shown } from '../words.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';
import { setMemory } from './memory.ts';
import { type LeftOutSettings, splitCommas } from './settings.ts';

/** Machines of QEMU that are PCs. */
const PCS = /^(pc|q35|pc-(i440fx|q35)-[\w.-]+|pc-[\d.]+|ubuntu|ubuntu-q35|microvm|isapc)(\+pve\d+)?$/;

const ONE_MACHINE = 'vring has one machine type, a PC like q35 with its devices on PCI';
const NOT_THERE = 'this version has none';
const OF_QEMU = 'it is a matter of QEMU itself';

/** What every guest has, whether it is switched off or not. */
const ALWAYS = ['i8042', 'pit', 'pic', 'rtc', 'acpi', 'pcie', 'isa-serial', 'sata'];

const LEFT_OUT: LeftOutSettings = {
  usb: NOT_THERE,
  vmport: NOT_THERE,
  hpet: NOT_THERE,
  smm: 'it is for firmware',
  nvdimm: NOT_THERE,
  graphics: 'this version has no screen',
  'pcspk-audiodev': NOT_THERE,
  pcspk: NOT_THERE,
  smbus: NOT_THERE,
  'fd-bootchk': 'it is for firmware',
  'x-option-roms': 'devices have no option ROMs',
  'dump-guest-core': 'guest RAM is never in a core dump',
  'suppress-vmdesc': OF_QEMU,
  'igd-passthru': NOT_THERE,
  'max-ram-below-4g': 'guest RAM is below 3 GiB and from 4 GiB up',
  'default-bus-bypass-iommu': NOT_THERE,
  'smp-cache*': 'caches are shared as the topology says',
  hmat: 'a guest has one NUMA node',
  'aux-ram-share': OF_QEMU,
  'phandle-start': OF_QEMU,
  'enforce-config-section': OF_QEMU,
  'x-*': OF_QEMU,
};

/** -machine. @throws OptionError */
export function readMachine(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'type');
  settings.rename(key => key.toLowerCase().replaceAll('_', '-'));
  const type = settings.take('type');
  if (type !== undefined && !PCS.test(type)) {
    const meant = likely(type, ['pc', 'q35', 'microvm']);
    const advice = meant === null ? 'leave it out for its own, a PC like q35' : `did you mean "${meant}"?`;
    throw new OptionError(`${shown(type)} is no PC, and vring has no other machines: ${advice}`);
  }
  if (type !== undefined && !/q35/.test(type)) draft.leaveOut(place, ONE_MACHINE, `type=${type}`);
  readAccelerators(settings.takeAll('accel'));
  settings.prefer('kernel-irqchip', ['on', 'split'], 'the interrupt controllers are always those of KVM');
  const mergeable = settings.takeSwitch('mem-merge');
  const backend = settings.take('memory-backend');
  for (const key of ['pflash0', 'pflash1']) {
    const drive = settings.take(key);
    if (drive !== undefined) draft.flashDrives.push({ ...place, drive });
  }
  for (const key of ['kernel', 'initrd', 'append'] as const) {
    const value = settings.take(key);
    if (value === undefined) continue;
    if (key === 'append') draft.fields.machine = { ...draft.fields.machine, append: value };
    else if (key === 'kernel') readKernel(draft, value);
    else readInitrd(draft, value);
  }
  for (const part of ALWAYS) settings.prefer(part, ['on'], 'every guest has it');
  for (const absent of Object.keys(LEFT_OUT)) settings.prefer(absent, ['off', 'none'], LEFT_OUT[absent]!);
  settings.leaveOut(LEFT_OUT);
  settings.end({
    'confidential-guest-support': 'guests have no encrypted memory in this version: leave it out',
    'memory-encryption': 'guests have no encrypted memory in this version: leave it out',
  });
  // QEMU's default, which few ask for: the host merges pages only where it is asked to in vring.
  if (mergeable) setMemory(draft, { mergeable });
  if (backend !== undefined) draft.memoryPlaces.push({ ...place, backend });
}

/** What QEMU can run a guest on; the first that is usable counts, and KVM is vring's only one. @throws OptionError */
export function readAccelerators(names: readonly string[]): void {
  const all = names.flatMap(name => name.split(':'));
  if (all.length === 0 || all.includes('kvm')) return;
  throw new OptionError(
    `vring runs guests on KVM only, not on ${all.join(' or ')}: use -accel kvm, which is the default`,
  );
}

export function readKernel(draft: Draft, file: string): void {
  draft.fields.machine = { ...draft.fields.machine, kernel: path.resolve(draft.host.cwd, file) };
}

/**
 * -initrd: of a multiboot kernel, files with their command lines, `a x,b`; the first word of each is its name. Read when the
 * kernel is known. @throws OptionError
 */
export function readInitrd(draft: Draft, text: string): void {
  const { cwd, isMultiboot } = draft.host;
  const { kernel } = draft.fields.machine ?? {};
  if (kernel === undefined || !isMultiboot?.(kernel)) {
    draft.fields.machine = { ...draft.fields.machine, initrd: path.resolve(cwd, text) };
    return;
  }
  const modules = splitCommas(text).map(commandLine => {
    const [file] = commandLine.split(' ', 1);
    if (!file) throw new OptionError('expected the name of a file at the start of each module');
    return { file: path.resolve(cwd, file), 'command-line': commandLine };
  });
  draft.fields.machine = { ...draft.fields.machine, modules };
}

const SOURCES: Readonly<Record<string, BootSource>> = {
  c: 'disk',
  d: 'cdrom',
  n: 'network',
  o: 'network',
  p: 'network',
};

/** -boot. @throws OptionError */
export function readBoot(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'order');
  const order = settings.take('order');
  const once = settings.take('once');
  settings.prefer('menu', ['off'], 'there is no boot menu in this version');
  settings.prefer('strict', ['off', 'on'], 'a guest boots from what it is given');
  settings.leaveOut({
    splash: 'this version has no screen',
    'splash-time': 'this version has no screen',
    'reboot-timeout': 'it is for firmware',
  });
  settings.end();
  const sources = (letters: string | undefined) => letters && bootSources(draft, letters, place);
  const [first, then] = [sources(once), sources(order)];
  draft.fields.boot = {
    ...draft.fields.boot,
    ...(then && then.length > 0 && { order: then }),
    ...(first && first.length > 0 && { once: first }),
  };
}

function bootSources(draft: Draft, letters: string, place: Place): BootSource[] {
  const sources = [...letters].flatMap(letter => {
    const source = own(SOURCES, letter);
    if (source !== undefined) return [source];
    if (!/[ab]/.test(letter))
      throw new OptionError(
        `expected letters, not ${shown(letters)}: there are c (disk), d (CD-ROM) and n (network)`,
      );
    draft.leaveOut(place, 'there is no floppy drive', letter);
    return [];
  });
  return [...new Set(sources)];
}
