import { describe, expect, test } from 'vitest';
import type { DeviceConfig } from '../../src/devices/device-table.ts';
import type { ConfigurableType } from '../../src/devices/device-type.ts';
import { placeDevices } from '../../src/devices/places.ts';
import { deviceTable } from '../../src/devices/registry.ts';

function row(type: string, more: Partial<ConfigurableType>): ConfigurableType {
  return {
    ...{ type, title: type, description: type, bus: 'pci', prefix: type.slice(0, 3) },
    config: z => z.strictObject({}),
    create: () => {
      throw new Error('not built here');
    },
    ...more,
  };
}

/** With a bridge, and a SCSI controller with its disks. */
const table = deviceTable.with(
  row('bridge', { provides: { kind: 'pci', first: 0, units: 32 } }),
  row('port', { provides: { kind: 'pci', first: 0, units: 1 } }),
  row('scsi', { provides: { kind: 'scsi', first: 0, units: 256 } }),
  row('scsi-disk', { bus: 'scsi' }),
);
const rng = { type: 'virtio-rng' };

function problems(...configs: readonly DeviceConfig[]): string[] {
  return placeDevices(table, configs).problems.map(
    ({ index, option, message }) => `${index} ${option}: ${message}`,
  );
}

describe('devices are placed', () => {
  test('on the buses that they name, or on the first suitable one', () => {
    const configs = [
      rng,
      { ...rng, addr: '1f.7', bus: 'pcie.0' },
      { ...rng, addr: '0x1f' },
      { type: 'bridge', name: 'b', addr: 'a' },
      { ...rng, bus: 'b', addr: '0' },
      { type: 'isa-debug-exit' },
      { type: 'scsi', name: 's' },
      { type: 'scsi-disk', addr: '12' },
      { type: 'unknown', bus: 'anything', addr: 'nowhere' },
    ];
    const { places, problems } = placeDevices(table, configs);
    expect(problems).toEqual([]);
    expect(places.slice(0, -1)).toEqual([
      { bus: 'pci.0', address: null },
      { bus: 'pci.0', address: { unit: 31, function: 7 } },
      { bus: 'pci.0', address: { unit: 31, function: 0 } },
      { bus: 'pci.0', address: { unit: 10, function: 0 } },
      { bus: 'b', address: { unit: 0, function: 0 } },
      { bus: 'isa.0', address: null },
      { bus: 'pci.0', address: null },
      { bus: 's', address: { unit: 12, function: 0 } },
    ]);
  });

  test.each<[string, readonly DeviceConfig[], RegExp]>([
    ['a bus that is not there', [{ ...rng, bus: 'x' }], /^0 bus: there is no bus "x": those .* are pci\.0$/],
    [
      'a bus of another kind',
      [{ ...rng, bus: 'isa.0' }],
      /isa\.0 is a bus for isa devices, and virtio-rng is/,
    ],
    [
      'no bus of the kind',
      [{ type: 'scsi-disk' }],
      /there is no scsi bus for it: add a device that provides one \(virtio-scsi or scsi\), with a name/,
    ],
    ['an address that is none', [{ ...rng, addr: '5.8' }], /^0 addr: expected a slot, .* not "5\.8"$/],
    ['a slot beyond the bus', [{ ...rng, addr: '20' }], /pci\.0 has the places 1 to 1f, not 20/],
    ['the slot of the host bridge', [{ ...rng, addr: '00.0' }], /slot 0 of pci\.0 has the host bridge/],
    ['an address on the ISA bus', [{ type: 'isa-debug-exit', addr: '1' }], /isa devices have no address/],
    [
      'two devices at an address',
      [
        { ...rng, name: 'one', addr: '5' },
        { ...rng, addr: '05.0' },
      ],
      /^1 addr: "one" is at this address of pci\.0: choose another$/,
    ],
    [
      'a function beside none',
      [{ ...rng, addr: '5.1' }],
      /nothing is at 05\.0 of pci\.0, and guests .*: place a device at 05\.0$/,
    ],
    [
      'a second slot of a port',
      [
        { type: 'port', name: 'p' },
        { ...rng, bus: 'p', addr: '1' },
      ],
      /^1 addr: p has only one place, 0$/,
    ],
    [
      'a name that is taken',
      [
        { ...rng, name: 'a' },
        { ...rng, name: 'a' },
      ],
      /^1 name: another device is named "a"/,
    ],
    [
      'bridges behind each other',
      [
        { type: 'bridge', name: 'a', bus: 'b' },
        { type: 'bridge', name: 'b', bus: 'a' },
      ],
      /^0 bus: it would be behind itself/,
    ],
    [
      'a unit that is no number',
      [
        { type: 'scsi', name: 's' },
        { type: 'scsi-disk', addr: 'a' },
      ],
      /a target, and a unit if it is not 0/,
    ],
  ])('not with %s', (_what, configs, problem) => {
    expect(problems(...configs)[0]).toMatch(problem);
  });
});
