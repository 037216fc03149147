import { describe, expect, test } from 'vitest';
import { FwCfgItems, KEY } from '../../../src/devices/firmware/fw-cfg-items.ts';
import { addFirmwareItems } from '../../../src/vmm/boot/firmware-items.ts';
import { type MachineConfigInput, parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import { FakeMemory } from '../../support/fake-memory.ts';

const MiB = 2 ** 20;

/** The items of a machine with a disk, a CD and a network card; and how many bytes its ACPI tables have. */
function itemsOf(
  boot: Omit<Extract<MachineConfigInput['boot'], { kind: 'firmware' }>, 'kind'> = {},
  { hasScreen = false } = {},
) {
  const items = new FwCfgItems();
  const tables = { length: 100 };
  const config = parseMachineConfig({
    name: 'web',
    cpus: 2,
    maxCpus: 4,
    memory: { bytes: 64 * MiB },
    boot: { kind: 'firmware', ...boot },
  });
  addFirmwareItems(items, config, new FakeMemory(64 * MiB), {
    hasScreen,
    presentCpus: () => 2,
    bootCandidates: () => [
      { kind: 'disk', path: '/disk' },
      { kind: 'cdrom', path: '/cd' },
      { kind: 'network', path: '/nic' },
    ],
    tables: () => ({
      files: new Map([
        ['etc/acpi/rsdp', new Uint8Array(36)],
        ['etc/acpi/tables', new Uint8Array(tables.length).fill(1)],
      ]),
      commands: [{ kind: 'allocate', file: 'etc/acpi/rsdp', alignment: 16, zone: 'low' }],
    }),
  });
  const read = (name: string) => {
    const content = items.file(name);
    if (content === null) return null;
    content.select?.();
    const bytes = Buffer.alloc(content.size);
    content.read(0, bytes);
    return bytes;
  };
  return { items, tables, read };
}

describe('firmware items describe', () => {
  test('RAM, and the addresses that KVM needs', () => {
    const entries = itemsOf().read('etc/e820')!;
    const at = (index: number) => [
      entries.readBigUInt64LE(20 * index),
      entries.readBigUInt64LE(20 * index + 8),
      entries.readUInt32LE(20 * index + 16),
    ];
    expect([at(0), at(1), entries.length]).toEqual([
      [0xfeff_c000n, 0x4000n, 2],
      [0n, BigInt(64 * MiB), 1],
      40,
    ]);
  });

  test('the number and the maximum of vCPUs', () => {
    const { items, read } = itemsOf();
    const cpus = Buffer.alloc(2);
    items.at(KEY.cpus)!.read(0, cpus);
    expect([cpus.readUInt16LE(), read('etc/max-cpus')!.readUInt16LE()]).toEqual([2, 4]);
  });

  test('the boot devices: for once, and from the first reset on', () => {
    const { items, read } = itemsOf({ order: ['disk'], once: ['network', 'cdrom'] });
    const lines = () => read('bootorder')!.toString();
    expect(lines()).toBe('/nic\n/cd\0');
    items.reset();
    expect(lines()).toBe('/disk\0');
    items.reset();
    expect(lines()).toBe('/disk\0');
    expect(itemsOf().read('bootorder')!.toString()).toBe('/disk\n/cd\n/nic\0');
  });

  test('whether and how long to show the boot menu', () => {
    const shown = (rig: ReturnType<typeof itemsOf>) => {
      const flag = Buffer.alloc(2);
      rig.items.at(KEY.bootMenu)!.read(0, flag);
      return [flag.readUInt16LE(), rig.read('etc/boot-menu-wait')?.readUInt16LE()];
    };
    expect(shown(itemsOf())).toEqual([0, undefined]);
    expect(shown(itemsOf({ menu: { show: true, waitMs: 3000 } }))).toEqual([1, 3000]);
  });

  test('the delay before a reboot after a failed boot, which is off by default', () => {
    const wait = (boot?: Parameters<typeof itemsOf>[0]) =>
      itemsOf(boot).read('etc/boot-fail-wait')!.readUInt32LE();
    expect([wait(), wait({ retryMs: 0 }), wait({ retryMs: 5000 })]).toEqual([0xffff_ffff, 0, 5000]);
  });

  test.each([
    ['without a screen', false, {}, 0x3f8],
    ['with a screen', true, {}, undefined],
    ['with a screen, and a console on COM1', true, { serialConsole: true }, 0x3f8],
  ])('whether COM1 is its console: %s', (_, hasScreen, boot, port) =>
    expect(itemsOf(boot, { hasScreen }).read('etc/sercon-port')?.readUInt16LE()).toBe(port),
  );

  test('ACPI tables with room to grow', () => {
    const { items, tables, read } = itemsOf();
    const before = read('etc/acpi/tables')!;
    expect(before.subarray(0, 101)).toEqual(Buffer.from([...new Array(100).fill(1), 0]));
    tables.length = 1100;
    const after = read('etc/acpi/tables')!;
    expect(after.length).toBe(before.length);
    expect(after.subarray(0, 1101)).toEqual(Buffer.from([...new Array(1100).fill(1), 0]));
    tables.length = 5000;
    expect(() => read('etc/acpi/tables')).toThrow(/outgrown/);
    items.reset();
    expect(read('etc/acpi/tables')!.length).toBe(8192);
    expect(read('etc/acpi/rsdp')!.length).toBe(36);
  });
});
