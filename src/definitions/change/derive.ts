import type { Definition } from '../schema.ts';
import { changeKeys, type KeyChange } from './change-text.ts';

/**
 * The text of a definition of another VM like this one: with another name, other MAC addresses, the paths in `disks`
 * for its disks, and without autostart. With the same name, everything but the disks is kept.
 */
export function derivedText(
  text: string,
  file: string,
  definition: Definition,
  name: string,
  disks: ReadonlyMap<string, string>,
): string {
  const changes: KeyChange[] = [];
  const change = (path: KeyChange['path'], from: string | undefined) => {
    const value = from === undefined ? undefined : disks.get(from);
    if (value !== undefined && value !== from) changes.push({ path, value });
  };
  definition.disks.forEach((disk, index) => {
    change(['disks', index, 'file'], disk.file);
  });
  definition.devices.forEach((device, index) => {
    if ('path' in device && typeof device.path === 'string') change(['devices', index, 'path'], device.path);
  });
  if (name !== definition.name) {
    changes.push({ path: ['name'], value: name });
    definition.nics.forEach(({ mac }, index) => {
      if (mac !== undefined) changes.push({ path: ['nics', index, 'mac'], value: undefined });
    });
    if (definition.autostart) changes.push({ path: ['autostart'], value: undefined });
  }
  return changes.length === 0 ? text : changeKeys(text, file, changes);
}
