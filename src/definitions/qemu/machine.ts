import path from 'node:path';
import { splitCommas } from '../../text/commas.ts';
import { likely } from '../../text/nearest.ts';
import { own } from '../../text/own.ts';
import type { BootSource } from '../fields/boot.ts';
import { shown } from '../words.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';
import { setMemory } from './memory.ts';
import { USB_CONTROLLERS } from './other-devices.ts';

/** QEMU's PC machines. */
const PCS =
  /^(pc|q35|pc-(i440fx|q35)-[\w.-]+|pc-[\d.]+|rhel[\d.]+|ubuntu|ubuntu-q35|microvm|isapc)(\+pve\d+)?$/;

/** Those of QEMU before 2.12, whose usual network card is another. */
const OLD_Q35 = /^pc-q35-([01]\.\d+|2\.\d|2\.1[01])(?!\d)/;

const ONE_MACHINE = 'vring has one machine type, a PC like q35';
const NOT_THERE = 'this version has none';
const OF_QEMU = 'it only concerns QEMU itself';

/** What every guest has, even if it is switched off. */
const ALWAYS = ['i8042', 'pit', 'pic', 'rtc', 'acpi', 'pcie', 'isa-serial', 'sata'];

const LEFT_OUT: Readonly<Record<string, string>> = {
  usb: USB_CONTROLLERS,
  vmport: NOT_THERE,
  smm: 'it only concerns firmware',
  nvdimm: NOT_THERE,
  'pcspk-audiodev': NOT_THERE,
  pcspk: NOT_THERE,
  smbus: NOT_THERE,
  'fd-bootchk': 'it only concerns firmware',
  'x-option-roms': OF_QEMU,
  'dump-guest-core': 'core dumps never contain guest RAM',
  'suppress-vmdesc': OF_QEMU,
  'igd-passthru': NOT_THERE,
  'max-ram-below-4g': 'guest RAM is below 3 GiB and above 4 GiB',
  'default-bus-bypass-iommu': NOT_THERE,
  'smp-cache*': 'caches are shared according to the topology',
  hmat: 'the guest is told the distances of NUMA nodes, not their bandwidth',
  cxl: NOT_THERE,
  'cxl-fmw*': NOT_THERE,
  'sgx-epc*': NOT_THERE,
  'aux-ram-share': OF_QEMU,
  'phandle-start': OF_QEMU,
  'enforce-config-section': OF_QEMU,
  'bus-lock-ratelimit': OF_QEMU,
  'max-fw-size': 'firmware may have the size of any that there is',
  dumpdtb: 'PCs have no device tree',
  dtb: 'PCs have no device tree',
  'dt-compatible': 'PCs have no device tree',
  'x-*': OF_QEMU,
};

/** -machine. @throws OptionError */
export function readMachine(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'type');
  settings.rename(key => key.toLowerCase().replaceAll('_', '-'));
  const type = settings.take('type');
  if (type !== undefined && !PCS.test(type)) {
    const meant = likely(type, ['pc', 'q35', 'microvm']);
    const advice = meant === null ? 'leave it out' : `did you mean "${meant}"?`;
    throw new OptionError(`${shown(type)} is not a PC, the only kind of machine that vring has: ${advice}`);
  }
  if (type !== undefined) {
    draft.isQ35 = /q35/.test(type);
    draft.usualCard = draft.isQ35 && !OLD_Q35.test(type) ? 'e1000e' : 'e1000';
  }
  if (type !== undefined && !/q35/.test(type)) draft.leaveOut(place, ONE_MACHINE, `type=${type}`);
  readAccelerators(settings.takeAll('accel'));
  settings.prefer('kernel-irqchip', ['on', 'split'], "KVM's interrupt controllers are always used");
  settings.prefer('smbios-entry-point-type', ['32', 'auto'], 'SMBIOS has the 32-bit entry point');
  const hpet = settings.takeSwitch('hpet');
  if (hpet !== undefined) draft.fields.machine = { ...draft.fields.machine, hpet };
  if (settings.takeSwitch('graphics') === false) draft.onSerial = true;
  const mergeable = settings.takeSwitch('mem-merge');
  const backend = settings.take('memory-backend');
  for (const unit of ['0', '1']) {
    const drive = settings.take(`pflash${unit}`);
    if (drive !== undefined) draft.flashDrives.push({ ...place, drive, unit });
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
    'confidential-guest-support': 'this version has no encrypted guest memory: leave it out',
    'memory-encryption': 'this version has no encrypted guest memory: leave it out',
  });
  // It is QEMU's default, which few choose; in vring the host only merges pages on request.
  if (mergeable) setMemory(draft, { mergeable });
  if (backend !== undefined) draft.memoryPlaces.push({ ...place, backend });
}

/**
 * Sets where the guest has its console. With -nographic, firmware uses COM1; the machine keeps its VGA, which some guests
 * need (QEMU, system/vl.c). Of the kernels that boot directly, those by multiboot have one: many print nowhere else.
 */
export function setConsole(draft: Draft): void {
  const { fields, host } = draft;
  const kernel = fields.machine?.kernel;
  if (kernel !== undefined && host.isMultiboot?.(kernel)) fields.display ??= 'vga';
  else if (kernel !== undefined && draft.onSerial) fields.display ??= 'none';
  else if (draft.onSerial && fields.display !== 'none') fields.boot = { ...fields.boot, serial: true };
}

/**
 * The accelerators of -machine and -accel: QEMU uses the first that is available; vring only has KVM.
 * @throws OptionError
 */
export function readAccelerators(names: readonly string[]): void {
  const all = names.flatMap(name => name.split(':'));
  if (all.length === 0 || all.includes('kvm')) return;
  throw new OptionError(
    `vring only runs guests on KVM, not on ${all.join(' or ')}: use -accel kvm, the default`,
  );
}

export function readKernel(draft: Draft, file: string): void {
  draft.fields.machine = { ...draft.fields.machine, kernel: path.resolve(draft.host.cwd, file) };
}

/**
 * -initrd: for a multiboot kernel, files with their command lines, `a x,b`; the first word of each is the file. Read
 * once the kernel is known. @throws OptionError
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
    if (!file) throw new OptionError('expected a file name at the start of each module');
    return { file: path.resolve(cwd, file), 'command-line': commandLine };
  });
  draft.fields.machine = { ...draft.fields.machine, modules };
}

/** Of splash-time and reboot-timeout. */
const MAX_WAIT_MS = 65_535;

const SOURCES: Readonly<Record<string, BootSource>> = {
  a: 'floppy',
  b: 'floppy',
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
  const menu = settings.takeSwitch('menu');
  const wait = milliseconds('splash-time', settings.take('splash-time'), 0);
  // -1, the default: never.
  const retry = milliseconds('reboot-timeout', settings.take('reboot-timeout'), -1);
  settings.prefer('strict', ['off', 'on'], 'a guest only boots from its own devices');
  settings.leaveOut({ splash: 'firmware shows no picture' });
  settings.end();
  const sources = (letters: string | undefined) => letters && bootSources(letters);
  const [first, then] = [sources(once), sources(order)];
  draft.fields.boot = {
    ...draft.fields.boot,
    ...(then && then.length > 0 && { order: then }),
    ...(first && first.length > 0 && { once: first }),
    ...(menu !== undefined && { menu }),
    ...(wait !== undefined && { 'menu-wait': wait }),
    ...(retry !== undefined && retry >= 0 && { 'retry-wait': retry }),
  };
}

/** @throws OptionError */
function milliseconds(key: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^-?\d{1,8}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= MAX_WAIT_MS) return value;
  throw new OptionError(`${key} takes milliseconds from ${least} to ${MAX_WAIT_MS}, not ${shown(text)}`);
}

function bootSources(letters: string): BootSource[] {
  const sources = [...letters].map(letter => {
    const source = own(SOURCES, letter);
    if (source !== undefined) return source;
    throw new OptionError(
      `expected some of the letters a (floppy), c (disk), d (CD-ROM) and n (network), not ${shown(letters)}`,
    );
  });
  return [...new Set(sources)];
}
