import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { FwCfgItems, KEY } from '../../../src/devices/firmware/fw-cfg-items.ts';
import { addFirmwareSettings } from '../../../src/vmm/boot/firmware-settings.ts';
import { openImage } from '../../../src/vmm/boot/image-file.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

let items: FwCfgItems;
let warnings: string[];
let file: string;

beforeEach(() => {
  items = new FwCfgItems();
  warnings = [];
  file = join(temporaryFolder(), 'config.ign');
});

const add = (...settings: { name: string; path?: string; text?: string }[]) =>
  addFirmwareSettings(items, settings, { open: openImage, warn: text => warnings.push(text) });

/** What the guest finds in a file, by the key that the directory has for its name. */
function readByName(name: string): string {
  const directory = items.at(KEY.directory)!;
  const entries = Buffer.alloc(directory.size);
  directory.read(0, entries);
  for (let at = 4; at < entries.length; at += 64) {
    if (entries.toString('latin1', at + 8, at + 64).replaceAll('\0', '') !== name) continue;
    const content = Buffer.alloc(entries.readUInt32BE(at));
    items.at(entries.readUInt16BE(at + 4))!.read(0, content);
    return content.toString();
  }
  throw new Error(`no file ${name}`);
}

describe('fw_cfg files of the user', () => {
  test('have a text, or the content of a file', () => {
    writeFileSync(file, '{"ignition": {}}');
    add({ name: 'opt/com.coreos/config', path: file }, { name: 'opt/a', text: '65536' }, { name: 'opt/b' });
    expect(readByName('opt/com.coreos/config')).toBe('{"ignition": {}}');
    expect(readByName('opt/a')).toBe('65536');
    expect(readByName('opt/b')).toBe('');
    expect(warnings).toEqual([]);
  });

  test("replace neither the machine's own items nor each other", () => {
    items.setFile('etc/e820', Buffer.from('RAM'));
    expect(() => add({ name: 'etc/e820', text: '' })).toThrow(
      'there is a fw_cfg file etc/e820 already, of another entry or of vring for the firmware: choose another name',
    );
    expect(() => add({ name: 'opt/a' }, { name: 'opt/a' })).toThrow('there is a fw_cfg file opt/a already');
    expect(readByName('etc/e820')).toBe('RAM');
  });

  test('must exist when the machine starts, and read as zeros where they were truncated', () => {
    expect(() => add({ name: 'opt/a', path: file })).toThrow(
      `cannot open the fw_cfg file ${file}: there is no such file`,
    );
    writeFileSync(file, 'twelve bytes');
    add({ name: 'opt/a', path: file });
    truncateSync(file, 3);
    expect(readByName('opt/a')).toBe('\0'.repeat(12));
    expect(warnings).toEqual([expect.stringMatching(/^the guest cannot read the fw_cfg file: /)]);
  });
});
