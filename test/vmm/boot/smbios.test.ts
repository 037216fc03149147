import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type SmbiosFacts, smbios } from '../../../src/vmm/boot/smbios.ts';
import { noKvm } from '../../support/kvm.ts';
import { LiveMachine } from '../../support/live-machine.ts';
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
  test('identify the VM and describe its hardware', () => {
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

  test('have the configured values', () => {
    const text = decoded({
      ...FACTS,
      options: {
        bios: { vendor: 'Foundry', version: '1.2', date: '02/03/2024', release: '4.11', uefi: true },
        system: {
          manufacturer: 'Example',
          product: 'P',
          version: 'V',
          serial: 'ds=nocloud',
          sku: 'K',
          family: 'F',
        },
        board: { product: 'Board', serial: 'B1', asset: 'B2', location: 'B3' },
        chassis: { manufacturer: 'Smith', version: 'C0', serial: 'C1', asset: 'C2', sku: 'C3' },
        processor: {
          socket: 'SKT',
          manufacturer: 'Acme',
          version: 'Zip',
          serial: 'P1',
          asset: 'P2',
          part: 'P3',
          'max-speed': 3000,
          'current-speed': 2000,
        },
        memory: {
          location: 'SLOT',
          bank: 'Bank',
          manufacturer: 'Mem',
          serial: 'M1',
          asset: 'M2',
          part: 'M3',
          speed: 2400,
        },
        'oem-strings': ['one', 'two', 'one'],
      },
    });
    expect(text).not.toMatch(/TRUNCATED|BAD INDEX|<OUT OF SPEC>|Invalid|Wrong|bogus/);
    for (const line of [
      ...[
        'Vendor: Foundry',
        'Version: 1.2',
        'Release Date: 02/03/2024',
        'BIOS Revision: 4.11',
        'UEFI is supported',
      ],
      ...[
        'Manufacturer: Example',
        'Product Name: P',
        'Version: V',
        'Serial Number: ds=nocloud',
        'SKU Number: K',
      ],
      ...[
        'Family: F',
        'Product Name: Board',
        'Serial Number: B1',
        'Asset Tag: B2',
        'Location In Chassis: B3',
      ],
      ...['Manufacturer: Smith', 'Version: C0', 'Serial Number: C1', 'Asset Tag: C2', 'SKU Number: C3'],
      ...[
        'Socket Designation: SKT 1',
        'Manufacturer: Acme',
        'Version: Zip',
        'Serial Number: P1',
        'Part Number: P3',
      ],
      ...['Max Speed: 3000 MHz', 'Current Speed: 2000 MHz', 'Locator: SLOT 0', 'Bank Locator: Bank'],
      ...['Manufacturer: Mem', 'Serial Number: M1', 'Asset Tag: M2', 'Part Number: M3', 'Speed: 2400 MT/s'],
      ...['String 1: one', 'String 2: two', 'String 3: one'],
    ])
      expect(text).toContain(`\t${line}\n`);
  });

  test('describe a terabyte of RAM', () => {
    const memory = 1024 * GiB;
    expect(decoded({ ...FACTS, memory, ram: [{ address: 0, size: memory }] })).toContain('Size: 1 TB');
  });
});

test.skipIf(noKvm !== null)('a kernel that is booted directly finds them in memory', () => {
  const machine = new LiveMachine('', { smbios: { system: { serial: 'ds=nocloud' } } });
  try {
    const low = Buffer.from(machine.ram.readable(0xf_0000, 0x1_0000));
    const at = low.indexOf('_SM_');
    expect(at % 16).toBe(0);
    const anchor = low.subarray(at, at + 0x1f);
    const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => total + byte, 0) & 0xff;
    expect([sum(anchor), sum(anchor.subarray(0x10))]).toEqual([0, 0]);
    const tables = machine.ram.readable(anchor.readUInt32LE(0x18), anchor.readUInt16LE(0x16));
    expect(Buffer.from(tables).toString('latin1')).toContain('\0ds=nocloud\0');
  } finally {
    machine.close();
  }
});
