import type { XmlElement } from '@rgrove/parse-xml';
import { own } from '../../text/own.ts';
import type { SmbiosOptions } from '../../vmm/boot/smbios-options.ts';
import type { DomainDocument } from './document.ts';

type Named = Exclude<keyof SmbiosOptions, 'oem-strings' | 'processor' | 'memory'>;

/** The elements of <sysinfo>, and the names of their entries, which definitions share. */
const PARTS: Readonly<Record<string, { readonly key: Named; readonly entries: readonly string[] }>> = {
  bios: { key: 'bios', entries: ['vendor', 'version', 'date', 'release'] },
  system: {
    key: 'system',
    entries: ['manufacturer', 'product', 'version', 'serial', 'sku', 'family'],
  },
  baseBoard: {
    key: 'board',
    entries: ['manufacturer', 'product', 'version', 'serial', 'asset', 'location'],
  },
  chassis: { key: 'chassis', entries: ['manufacturer', 'version', 'serial', 'asset', 'sku'] },
};

/** <sysinfo type='smbios'>, where <os><smbios mode='sysinfo'/> asks for it. */
export function readSysinfo(
  document: DomainDocument,
  domain: XmlElement,
): { readonly smbios?: SmbiosOptions } {
  const mode = document.child(document.child(domain, 'os'), 'smbios');
  const wanted = document.attribute(mode, 'mode');
  if (mode !== null && wanted === 'host')
    document.leaveOut(mode, 'the guest does not see what host it is on');
  const sysinfo = document.children(domain, 'sysinfo').find(({ attributes }) => attributes.type === 'smbios');
  if (sysinfo === undefined || wanted !== 'sysinfo') return {};
  document.skip(sysinfo, 'type');
  const smbios: Record<string, unknown> = {};
  for (const [element, { key, entries }] of Object.entries(PARTS)) {
    const fields = readEntries(document, document.child(sysinfo, element), entries);
    if (Object.keys(fields).length > 0) smbios[key] = fields;
  }
  const strings = document.children(document.child(sysinfo, 'oemStrings'), 'entry');
  const texts = strings.flatMap(entry => document.text(entry) ?? []);
  document.skip(document.child(sysinfo, 'oemStrings'));
  if (texts.length > 0) smbios['oem-strings'] = texts;
  return Object.keys(smbios).length === 0 ? {} : { smbios };
}

function readEntries(
  document: DomainDocument,
  part: XmlElement | null,
  known: readonly string[],
): Record<string, string> {
  document.skip(part);
  const names = Object.fromEntries(known.map(name => [name, name]));
  const fields: Record<string, string> = {};
  for (const entry of document.children(part, 'entry')) {
    const name = own(names, document.attribute(entry, 'name') ?? '');
    const text = document.text(entry);
    // The UUID is that of the domain.
    if (name !== undefined && text !== null) fields[name] = text;
  }
  return fields;
}
