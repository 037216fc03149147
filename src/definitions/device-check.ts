import * as z from 'zod';
import { deviceConfigOf } from '../devices/device-config.ts';
import type { DeviceTable } from '../devices/device-table.ts';
import { type DeviceConfig, deviceTable } from '../devices/registry.ts';
import type { WantedEntry } from './wanted-devices.ts';

/** A device table entry, or what the table lacks for it. */
export type DeviceCheck =
  | { readonly device: DeviceConfig }
  | { readonly missing: 'type' }
  /** Options, with their values, that the type does not accept. */
  | { readonly missing: 'options'; readonly options: readonly string[] };

/** Looks up an entry in the device table. */
export function checkDevice(entry: WantedEntry, table: DeviceTable = deviceTable): DeviceCheck {
  if (entry.type === null || table.find(entry.type) === undefined) return { missing: 'type' };
  const schema = table === deviceTable ? deviceConfigOf(entry.type) : table.schema(z);
  const parsed = schema.safeParse(entry);
  if (parsed.success) return { device: parsed.data };
  const options = parsed.error.issues.flatMap(issue =>
    issue.code === 'unrecognized_keys' ? issue.keys : issue.path.slice(0, 1).map(String),
  );
  return { missing: 'options', options: [...new Set(options)].map(key => withValue(key, entry[key])) };
}

function withValue(key: string, value: unknown): string {
  return typeof value === 'object' || value === undefined ? key : `${key} ${value}`;
}
