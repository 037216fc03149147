import { deviceConfigOf } from '../../devices/device-config.ts';
import { DEVICE_NAME, type DefinitionKey, type DeviceType } from '../../devices/device-type.ts';
import type { DeviceConfig } from '../../devices/registry.ts';
import { diskLimits } from '../fields/disk-limits.ts';
import { network as networkField } from '../fields/networks.ts';
import { type NetEntry, netOptions } from '../net-options.ts';
import { shown } from '../words.ts';
import type { Connection } from './connection.ts';
import type { Draft, Drive, Place } from './draft.ts';
import { OptionError } from './error.ts';
import type { SataPort } from './sata.ts';
import { type Settings, switchValue } from './settings.ts';

/** The part of a device table row that -device needs. */
export type QemuRow = Pick<DeviceType, 'type' | 'qemu' | 'libvirt' | 'definition'> &
  Partial<Pick<DeviceType, 'bus' | 'provides'>>;

/** Where a device is to be: nothing, or its address. */
export type Address = { readonly addr?: string };

/** A -device for which definitions have a key. */
export type KnownOption = {
  readonly place: Place;
  readonly driver: string;
  readonly id: string | undefined;
  readonly addr: Address;
  readonly known: DefinitionKey;
  readonly row: QemuRow | undefined;
  /** Of a drive on a SATA controller. */
  readonly port: SataPort | null;
};

/** A device that only the table has: its row maps QEMU's properties to options. @throws OptionError */
export function rowEntry(
  draft: Draft,
  settings: Settings,
  row: QemuRow,
  id: string | undefined,
): DeviceConfig {
  const entry: Record<string, unknown> = { type: row.type };
  if (id !== undefined && DEVICE_NAME.pattern.test(id)) entry.name = id;
  for (const [property, option] of Object.entries(row.qemu!.properties)) {
    const value = settings.take(property);
    if (value === undefined) continue;
    if (property === 'drive') {
      const { disk } = draft.claimDrive(value);
      if (disk === null && row.definition?.cdrom === true) continue;
      if (disk === null) throw new OptionError(`drive=${value}: it has no medium`);
      Object.assign(entry, diskOptions(draft, row, disk));
    } else if (property === 'netdev') entry[option] = networkEntry(draft.claimNetwork(value));
    else entry[option] = property === 'chardev' ? draft.claimChardev(value) : value;
  }
  return typedEntry(entry);
}

/** The options of a device for its medium. */
export function diskOptions(
  draft: Draft,
  row: QemuRow,
  disk: NonNullable<Drive['disk']>,
): Record<string, unknown> {
  return {
    path: disk.file,
    ...(disk.format !== undefined && { format: disk.format }),
    ...(disk.label !== undefined && { label: disk.label }),
    readonly: disk.readonly === true || row.definition?.cdrom === true,
    ...(draft.isTransient(disk) && { transient: true }),
    cache: disk.cache,
    // A USB disk ignores discards.
    ...(disk.discard !== undefined && row.bus !== 'usb' && { discard: disk.discard }),
    ...(disk['detect-zeroes'] !== undefined && { 'detect-zeroes': disk['detect-zeroes'] }),
    ...(disk.rerror !== undefined && { rerror: disk.rerror }),
    ...(disk.werror !== undefined && { werror: disk.werror }),
    ...(disk.limits !== undefined && { limits: diskLimits.parse(disk.limits) }),
  };
}

/** The network options of a row without a key of its own. */
function networkEntry({ network, queues = 1 }: Connection): NetEntry {
  return netOptions({ network: networkField.parse(network), queues });
}

/** Suffixes of QEMU's sizes. */
const UNITS = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 } as const;

/** QEMU's rombar is a number, of which 0 is off. */
function bit(value: string): boolean | undefined {
  return value === '0' || value === '1' ? value === '1' : undefined;
}

/** Options are text; those that the row wants as a number or a switch are converted. */
export function typedEntry(entry: Record<string, unknown>): DeviceConfig {
  const issues = deviceConfigOf(String(entry.type)).safeParse(entry).error?.issues ?? [];
  for (const issue of issues) {
    const key = String(issue.path[0]);
    const value = entry[key];
    if (issue.code !== 'invalid_type' || typeof value !== 'string') continue;
    const on = issue.expected === 'boolean' ? (switchValue(value) ?? bit(value)) : undefined;
    if (on !== undefined) entry[key] = on;
    if (!/^(int|number)$/.test(issue.expected)) continue;
    if (/^(\d{1,15}|0x[0-9a-f]{1,12})$/i.test(value)) entry[key] = Number(value);
    const size = /^(\d{1,9})([kmg])$/i.exec(value);
    if (size !== null) entry[key] = Number(size[1]) * UNITS[size[2]!.toLowerCase() as keyof typeof UNITS];
  }
  return entry as DeviceConfig;
}

/** @throws OptionError */
export function takeBootIndex(settings: Settings): number | undefined {
  if (settings.peek('bootindex') !== '-1') return takeNumber(settings, 'bootindex');
  settings.take('bootindex');
  return undefined;
}

/** @throws OptionError */
export function takeNumber(settings: Settings, key: string): number | undefined {
  const value = settings.take(key);
  if (value === undefined || /^\d{1,9}$/.test(value)) return value === undefined ? undefined : Number(value);
  throw new OptionError(`${key} takes a whole number, not ${shown(value)}`);
}

/** The switches among a row's properties that are keys of a definition. @throws OptionError */
export function takeSwitches(
  settings: Settings,
  properties: Readonly<Record<string, string>>,
  keys: readonly string[],
): Record<string, boolean> {
  const given = Object.entries(properties).flatMap(([property, option]) => {
    const on = keys.includes(option) ? settings.takeSwitch(property) : undefined;
    return on === undefined ? [] : [[option, on]];
  });
  return Object.fromEntries(given);
}
