import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type SmbiosFacts, smbios, uuidOf } from '../../../src/vmm/boot/smbios.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const GiB = 2 ** 30;

const FACTS: SmbiosFacts = {
  name: 'web',
  uuid: '3f2504e0-4f89-11d3-9a0c-0305e82c3301',
  ...{ sockets: 2, cores: 4, threads: 2, memory: 3 * GiB },
  ram: [
    { address: 0, size: 2 * GiB },
    { address: 4 * GiB, size: GiB },
  ],
};

/** What dmidecode reads in the tables, placed as firmware would. */
function decoded(facts: SmbiosFacts): string {
  const { anchor, tables } = smbios(facts);
  const dump = Buffer.alloc(32 + tables.length);
  dump.set(anchor);
  dump.writeUInt32LE(32, 0x18);
  for (const [at, start, length] of [
    [0x15, 0x10, 0x0f],
    [0x04, 0x00, 0x1f],
  ] as const) {
    dump[at] = 0;
    dump[at] = -dump.subarray(start, start + length).reduce((sum, byte) => sum + byte, 0) & 0xff;
  }
  dump.set(tables, 32);
  const file = join(temporaryFolder(), 'dmi.bin');
  writeFileSync(file, dump);
  return execFileSync('dmidecode', ['--from-dump', file], { encoding: 'utf8' });
}

describe('the SMBIOS tables, as dmidecode reads them', () => {
  test('say who the VM is and what it has', () => {
    const text = decoded(FACTS);
    expect(text).toContain('SMBIOS 2.8 present.');
    expect(text).not.toMatch(/TRUNCATED|BAD INDEX|<OUT OF SPEC>|Invalid|Wrong|bogus/);
    expect(text).toMatch(/Manufacturer: vring\n\tProduct Name: Standard PC \(Q35 \+ ICH9\)\n\tVersion: web/);
    expect(text).toContain('UUID: 3f2504e0-4f89-11d3-9a0c-0305e82c3301');
    expect(text.match(/Socket Designation: CPU \d/g)).toEqual([
      'Socket Designation: CPU 0',
      'Socket Designation: CPU 1',
    ]);
    expect(text).toMatch(/Core Count: 4\n\tCore Enabled: 4\n\tThread Count: 8/);
    expect(text).toContain('Maximum Capacity: 3 GB');
    expect(text).toContain('Size: 3 GB');
    expect(text).toMatch(/Starting Address: 0x0000000100000000k?\n\tEnding Address: 0x000000013FFFFFFFk?/);
  });

  test('describe a terabyte', () => {
    const memory = 1024 * GiB;
    expect(decoded({ ...FACTS, memory, ram: [{ address: 0, size: memory }] })).toContain('Size: 1 TB');
  });
});

test('a VM has the same UUID whenever it starts, and no other has it', () => {
  expect(uuidOf('web')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(uuidOf('web')).toBe(uuidOf('web'));
  expect(uuidOf('web')).not.toBe(uuidOf('db'));
});
