import { own } from '../../text/own.ts';
import type { SmbiosOptions } from '../../vmm/boot/smbios-options.ts';
import { shown } from '../words.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';

/** QEMU's properties by type, each with the key that it sets. */
const TYPES: Readonly<
  Record<
    string,
    { readonly key: Exclude<keyof SmbiosOptions, 'oem-strings'>; readonly properties: Record<string, string> }
  >
> = {
  0: {
    key: 'bios',
    properties: { vendor: 'vendor', version: 'version', date: 'date', release: 'release', uefi: 'uefi' },
  },
  1: { key: 'system', properties: same('manufacturer product version serial sku family') },
  2: { key: 'board', properties: same('manufacturer product version serial asset location') },
  3: { key: 'chassis', properties: same('manufacturer version serial asset sku') },
  4: {
    key: 'processor',
    properties: {
      ...same('manufacturer version serial asset part max-speed current-speed'),
      sock_pfx: 'socket',
    },
  },
  17: {
    key: 'memory',
    properties: { ...same('bank manufacturer serial asset part speed'), loc_pfx: 'location' },
  },
};
const OEM_STRINGS = '11';
const NUMBERS = /^(max-speed|current-speed|speed)$/;

function same(names: string): Record<string, string> {
  return Object.fromEntries(names.split(' ').map(name => [name, name]));
}

/** -smbios. @throws OptionError */
export function readSmbios(draft: Draft, value: string, place: Place): void {
  const settings = draft.settings(place, value);
  const type = settings.take('type');
  if (type === undefined)
    throw new OptionError('tables cannot be taken from a file: use -smbios type=N,... for their fields');
  if (type === '1') {
    const uuid = settings.take('uuid');
    if (uuid !== undefined) readUuid(draft, uuid);
  }
  if (type === OEM_STRINGS) {
    const texts = settings.takeAll('value');
    settings.end({ path: 'give the text itself, as value=TEXT' });
    const { 'oem-strings': before = [], ...others } = draft.fields.machine?.smbios ?? {};
    setSmbios(draft, { ...others, 'oem-strings': [...before, ...texts] });
    return;
  }
  const known = own(TYPES, type);
  if (known === undefined)
    throw new OptionError(`expected a type of ${Object.keys(TYPES).join(', ')} or 11, not ${shown(type)}`);
  const before = draft.fields.machine?.smbios ?? {};
  const valueFor = (property: string, key: string) => {
    if (key === 'uefi') return settings.takeSwitch(property);
    return NUMBERS.test(key) ? settings.takeCount(property) : settings.take(property);
  };
  const fields = Object.entries(known.properties)
    .map(([property, key]) => [key, valueFor(property, key)] as const)
    .filter(([, value]) => value !== undefined);
  settings.leaveOut({
    'processor-id': 'the guest sees that of its CPU',
    'processor-family': 'it is "other"',
  });
  settings.end();
  // A board exists if it is mentioned.
  if (fields.length > 0 || known.key === 'board')
    setSmbios(draft, { ...before, [known.key]: { ...before[known.key], ...Object.fromEntries(fields) } });
}

function setSmbios(draft: Draft, smbios: SmbiosOptions): void {
  draft.fields.machine = { ...draft.fields.machine, smbios };
}

/** -uuid. @throws OptionError */
export function readUuid(draft: Draft, value: string): void {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value))
    throw new OptionError(
      `expected a UUID, such as 3f2504e0-4f89-11d3-9a0c-0305e82c3301, not ${shown(value)}`,
    );
  draft.fields.machine = { ...draft.fields.machine, uuid: value.toLowerCase() };
}
