import { expect, test } from 'vitest';
import { loaderScript } from '../../../src/vmm/acpi/loader-script.ts';

test('a loader script has an entry of 128 bytes for each command', () => {
  const script = Buffer.from(
    loaderScript([
      { kind: 'allocate', file: 'etc/acpi/rsdp', alignment: 16, zone: 'low' },
      { kind: 'allocate', file: 'etc/acpi/tables', alignment: 64, zone: 'any' },
      { kind: 'add-pointer', file: 'etc/acpi/rsdp', to: 'etc/acpi/tables', offset: 24, size: 8 },
      { kind: 'add-checksum', file: 'etc/acpi/rsdp', offset: 8, start: 0, length: 20 },
    ]),
  );
  expect(script.length).toBe(4 * 128);
  const name = (at: number) => script.toString('latin1', at, at + 56).replace(/\0+$/, '');
  expect([script.readUInt32LE(0), name(4), script.readUInt32LE(60), script[64]]).toEqual([
    ...[1, 'etc/acpi/rsdp', 16, 2],
  ]);
  expect([script.readUInt32LE(128), name(132), script.readUInt32LE(188), script[192]]).toEqual([
    ...[1, 'etc/acpi/tables', 64, 1],
  ]);
  expect([script.readUInt32LE(256), name(260), name(316), script.readUInt32LE(372), script[376]]).toEqual([
    ...[2, 'etc/acpi/rsdp', 'etc/acpi/tables', 24, 8],
  ]);
  const numbers = [444, 448, 452].map(at => script.readUInt32LE(at));
  expect([script.readUInt32LE(384), name(388), ...numbers]).toEqual([3, 'etc/acpi/rsdp', 8, 0, 20]);
});
