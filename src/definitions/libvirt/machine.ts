import type { XmlElement } from '@rgrove/parse-xml';
import { own } from '../../text/own.ts';
import { needsSmm } from '../../vmm/boot/firmware-files.ts';
import type { Boot, BootSource } from '../fields/boot.ts';
import { NO_SMM } from '../qemu/firmware.ts';
import type { DefinitionInput } from '../schema.ts';
import type { DomainDocument } from './document.ts';

type MemorySettings = Exclude<NonNullable<DefinitionInput['memory']>, string | number>;

const PREFIXES = 'kmgtpe';

/**
 * The bytes in a unit, case-insensitively as in libvirt (virScaleInteger): `b`, `byte` and `bytes`; `k` and `KiB` are
 * 1024, `KB` is 1000, and so on up to exbibytes. Null if unknown.
 */
function unitBytes(unit: string): number | null {
  const text = unit.toLowerCase();
  if (/^(b|bytes?)$/.test(text)) return 1;
  const match = /^([kmgtpe])(ib|b)?$/.exec(text);
  if (match === null) return null;
  return (match[2] === 'b' ? 1000 : 1024) ** (PREFIXES.indexOf(match[1]!) + 1);
}

export function bytesIn(
  document: DomainDocument,
  element: XmlElement,
  text: string | null,
  unit: string | null,
): number {
  const factor = unitBytes(unit || 'KiB');
  const bytes = Number(text) * (factor ?? Number.NaN);
  if (text !== null && /^\d+$/.test(text) && Number.isSafeInteger(bytes)) return bytes;
  throw document.error(element, `expected a number and a unit such as MiB, not ${text} ${unit ?? ''}`.trim());
}

/** The memory that the guest keeps (<currentMemory>), in MiB as in a definition; null for all. @throws LibvirtError */
export function readTarget(document: DomainDocument, domain: XmlElement, hasBalloon: boolean): number | null {
  const memory = document.child(domain, 'memory');
  const current = document.child(domain, 'currentMemory');
  if (memory === null || current === null) return null;
  const bytes = bytesIn(document, memory, document.text(memory), document.attribute(memory, 'unit'));
  const now = bytesIn(document, current, document.text(current), document.attribute(current, 'unit'));
  if (now >= bytes) return null;
  if (hasBalloon) return Math.ceil(now / 2 ** 20);
  document.leaveOut(current, 'without a balloon the guest has all of its memory');
  return null;
}

/** <memory> and <memoryBacking>. @throws LibvirtError */
export function readMemory(document: DomainDocument, domain: XmlElement): MemorySettings {
  const memory: MemorySettings = {};
  const element = document.child(domain, 'memory');
  if (element !== null) {
    const bytes = bytesIn(document, element, document.text(element), document.attribute(element, 'unit'));
    // Rounded up, as in libvirt and QEMU, whose units are KiB and MiB.
    memory.size = Math.ceil(bytes / 2 ** 20);
  }
  const backing = document.child(domain, 'memoryBacking');
  if (backing === null) return memory;
  document.skip(backing);
  document.skip(document.child(backing, 'nosharepages'));
  const hugepages = document.child(backing, 'hugepages');
  if (hugepages === null) return memory;
  document.skip(hugepages);
  const [page, ...more] = document.children(hugepages, 'page');
  for (const each of more) document.leaveOut(each, 'all of guest RAM has one page size');
  if (page === undefined) return { ...memory, hugepages: '2M' };
  const size = bytesIn(document, page, document.attribute(page, 'size'), document.attribute(page, 'unit'));
  if (size === 2 ** 21 || size === 2 ** 30) return { ...memory, hugepages: size === 2 ** 21 ? '2M' : '1G' };
  document.leaveOut(page, 'huge pages are 2 MiB or 1 GiB');
  return memory;
}

const SOURCES: Readonly<Record<string, BootSource>> = {
  fd: 'floppy',
  hd: 'disk',
  cdrom: 'cdrom',
  network: 'network',
};

/** @throws LibvirtError unless the domain is a fully virtualized PC */
export function readOs(
  document: DomainDocument,
  domain: XmlElement,
): { machine: DefinitionInput['machine']; boot?: Boot } {
  const os = document.child(domain, 'os');
  const type = document.child(os, 'type');
  const kind = document.text(type);
  const architecture = document.attribute(type, 'arch');
  document.skip(type, 'machine');
  if (type !== null && kind !== 'hvm')
    throw document.error(type, `expected a domain of type hvm, not ${kind}`);
  // A 32-bit guest runs on a 64-bit CPU.
  if (architecture !== null && architecture !== 'x86_64' && architecture !== 'i686') {
    throw document.error(type!, `expected an x86_64 guest, not ${architecture}`);
  }
  const text = (name: string) => document.text(document.child(os, name));
  const [kernel, initrd, append] = [text('kernel'), text('initrd'), text('cmdline')];
  const boot = readBoot(document, os);
  const uuid = readUuid(document, domain);
  const started = kernel !== null && {
    ...{ kernel, ...(initrd !== null && { initrd }), ...(append !== null && { append }) },
  };
  const settings = readSettings(document, domain);
  const firmware = { ...readFirmware(document, os), ...settings };
  // libvirt's guests have firmware, even those with a kernel.
  const needsFirmware = kernel !== null && settings['fw-cfg'] !== undefined && !firmware.firmware;
  return {
    machine: { ...firmware, ...(needsFirmware && { firmware: 'bios' }), ...uuid, ...started },
    ...boot,
  };
}

/** <clock>: the optional timers of a guest, and the time that its clock shows. */
export function readClock(
  document: DomainDocument,
  domain: XmlElement,
): { readonly clock?: string; readonly hpet?: true } {
  const clock = document.child(domain, 'clock');
  return { ...readOffset(document, clock), ...readHpet(document, clock) };
}

function readHpet(document: DomainDocument, clock: XmlElement | null): { readonly hpet?: true } {
  const timer = document.children(clock, 'timer').find(({ attributes }) => attributes.name === 'hpet');
  if (timer === undefined) return {};
  document.skip(timer, 'name');
  return document.attribute(timer, 'present') === 'yes' ? { hpet: true } : {};
}

/** UTC, local time, or a time. */
function readOffset(document: DomainDocument, clock: XmlElement | null): { readonly clock?: string } {
  const offset = document.attribute(clock, 'offset');
  if (clock === null || offset === 'utc') return {};
  if (offset === 'localtime') return { clock: offset };
  if (offset === 'variable' && Number(document.attribute(clock, 'adjustment') ?? 0) === 0)
    return document.attribute(clock, 'basis') === 'localtime' ? { clock: 'localtime' } : {};
  const start = Number(document.attribute(clock, 'start') ?? Number.NaN);
  if (offset === 'absolute' && start >= 0 && start < 2 ** 37)
    return { clock: new Date(1000 * start).toISOString().slice(0, 'YYYY-MM-DDTHH:MM:SS'.length) };
  document.leaveOut(clock, "a guest's clock shows UTC, the local time of the host, or an absolute time");
  return {};
}

/** <pm>: the sleep states that the guest may enter. */
export function readSleepStates(
  document: DomainDocument,
  domain: XmlElement,
): { readonly suspend?: false; readonly hibernate?: false } {
  const pm = document.child(domain, 'pm');
  document.skip(pm);
  const isOff = (name: string) => document.attribute(document.child(pm, name), 'enabled') === 'no';
  return {
    ...(isOff('suspend-to-mem') && { suspend: false }),
    ...(isOff('suspend-to-disk') && { hibernate: false }),
  };
}

/** <sysinfo type='fwcfg'>: files for firmware and guest. */
function readSettings(
  document: DomainDocument,
  domain: XmlElement,
): Pick<NonNullable<DefinitionInput['machine']>, 'fw-cfg'> {
  const entries = document
    .children(domain, 'sysinfo')
    .filter(({ attributes }) => attributes.type === 'fwcfg')
    .flatMap(sysinfo => {
      document.skip(sysinfo, 'type');
      return document.children(sysinfo, 'entry');
    });
  if (entries.length === 0) return {};
  return {
    'fw-cfg': entries.map(entry => {
      const name = document.attribute(entry, 'name') ?? '';
      const file = document.attribute(entry, 'file');
      return file === null ? { name, text: document.text(entry) ?? '' } : { name, file };
    }),
  };
}

function readUuid(document: DomainDocument, domain: XmlElement): { readonly uuid?: string } {
  const uuid = document.text(document.child(domain, 'uuid'));
  return uuid === null ? {} : { uuid };
}

function readBoot(document: DomainDocument, os: XmlElement | null): { readonly boot?: Boot } {
  const order = readOrder(document, os);
  const menu = document.child(os, 'bootmenu');
  const shows = document.attribute(menu, 'enable') === 'yes';
  const wait = Number(document.attribute(menu, 'timeout') ?? Number.NaN);
  const bios = document.child(os, 'bios');
  // -1, the default: never.
  const retry = Number(document.attribute(bios, 'rebootTimeout') ?? Number.NaN);
  const boot = {
    ...(order.length > 0 && { order }),
    ...(shows && { menu: true }),
    ...(shows && wait >= 0 && { 'menu-wait': Math.min(wait, 0xffff) }),
    ...(retry >= 0 && { 'retry-wait': Math.min(retry, 0xffff) }),
    ...(document.attribute(bios, 'useserial') === 'yes' && { serial: true }),
  };
  return Object.keys(boot).length === 0 ? {} : { boot };
}

function readOrder(document: DomainDocument, os: XmlElement | null): BootSource[] {
  const order: BootSource[] = [];
  for (const boot of document.children(os, 'boot')) {
    const source = own(SOURCES, document.attribute(boot, 'dev') ?? '');
    if (source === undefined) document.leaveOut(boot, 'a guest boots from fd, hd, cdrom or network');
    else order.push(source);
  }
  return order;
}

const RAW_FLASH = 'flash memory is raw: convert it with qemu-img convert -O raw';

/** Firmware and its variables stay in their files, except for what needs SMM. */
function readFirmware(
  document: DomainDocument,
  os: XmlElement | null,
): NonNullable<DefinitionInput['machine']> {
  const loader = document.child(os, 'loader');
  const file = document.text(loader);
  const isFlash = document.attribute(loader, 'type') === 'pflash' || /OVMF|edk2/i.test(file ?? '');
  if (document.attribute(os, 'firmware') !== 'efi' && !isFlash)
    return file === null ? {} : { firmware: 'bios', 'firmware-file': file };
  const isSecure = document.attribute(loader, 'secure') === 'yes' || needsSmm(file ?? '');
  const isRaw = (document.attribute(loader, 'format') ?? 'raw') === 'raw';
  const secureBoot = wantsSecureBoot(document, os);
  if (loader !== null && (isSecure || secureBoot)) document.leaveOut(loader, NO_SMM);
  else if (loader !== null && !isRaw) document.leaveOut(loader, RAW_FLASH);
  document.skip(loader, 'readonly', 'stateless');
  const nvram = document.child(os, 'nvram');
  document.skip(nvram, 'template', 'templateFormat', 'type');
  const variables = document.text(nvram);
  const isRawStore = (document.attribute(nvram, 'format') ?? 'raw') === 'raw';
  if (nvram !== null && !isRawStore) document.leaveOut(nvram, RAW_FLASH);
  return {
    firmware: 'uefi',
    ...(file !== null && !isSecure && !secureBoot && isRaw && { 'firmware-file': file }),
    ...(variables !== null && isRawStore && { 'firmware-variables': variables }),
    ...(secureBoot && { 'secure-boot': true }),
  };
}

/** Whether <os firmware='efi'> selects firmware with Secure Boot. */
function wantsSecureBoot(document: DomainDocument, os: XmlElement | null): boolean {
  const firmware = document.child(os, 'firmware');
  const features = document.children(firmware, 'feature').map(feature => ({
    name: document.attribute(feature, 'name'),
    isWanted: document.attribute(feature, 'enabled') !== 'no',
  }));
  // Firmware without any of them is what vring has.
  if (!features.some(({ isWanted }) => isWanted)) document.skipAll(firmware);
  return features.some(({ name, isWanted }) => name === 'enrolled-keys' && isWanted);
}
