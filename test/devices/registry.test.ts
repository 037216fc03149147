import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { deviceConfig } from '../../src/devices/device-config.ts';
import { type ConfigurableType, deviceFields } from '../../src/devices/device-type.ts';
import { placeDevices } from '../../src/devices/places.ts';
import { deviceTable } from '../../src/devices/registry.ts';
import { FakeMachine } from '../support/fake-machine.ts';

describe('the registration table', () => {
  test('has each type once, with texts that fit a list', () => {
    const types = deviceTable.rows.map(({ type }) => type);
    expect(new Set(types).size).toBe(types.length);
    expect(types).toEqual(expect.arrayContaining(['serial', 'rtc', 'i8042', 'virtio-blk', 'virtio-rng']));
    for (const { title, description } of deviceTable.rows) {
      expect(title).not.toBe('');
      expect(description).not.toMatch(/\.$|\n/);
    }
  });

  test('a configuration has its defaults', () => {
    expect(deviceConfig.parse({ type: 'virtio-blk', path: '/disk' })).toEqual({
      type: 'virtio-blk',
      path: '/disk',
      readonly: false,
      cache: 'writeback',
      queues: 1,
    });
  });

  test.each([
    ['an unknown type', { type: 'punched-cards' }],
    ['a built-in type', { type: 'serial' }],
    ['no path', { type: 'virtio-blk' }],
    ['another format', { type: 'virtio-blk', path: '/disk', format: 'qed' }],
    ['no queue', { type: 'virtio-blk', path: '/disk', queues: 0 }],
    ['too many queues', { type: 'virtio-blk', path: '/disk', queues: 17 }],
    ['a serial of 21 characters', { type: 'virtio-blk', path: '/disk', serial: 'x'.repeat(21) }],
    ['a serial that is no ASCII', { type: 'virtio-blk', path: '/disk', serial: 'größe' }],
    ['an unknown option', { type: 'virtio-rng', speed: 1 }],
    ['a bad name', { type: 'virtio-rng', name: 'Rng 0' }],
  ])('%s is rejected', (_what, config) => {
    expect(deviceConfig.safeParse(config).success).toBe(false);
  });

  test('names are numbered by type, and skip configured names', () => {
    const configs = [
      { type: 'virtio-blk', path: '/a' },
      { type: 'virtio-rng' },
      { type: 'virtio-blk', path: '/b', name: 'blk1' },
      { type: 'virtio-blk', path: '/c' },
    ].map(config => deviceConfig.parse(config));
    expect(deviceTable.names(configs)).toEqual(['blk0', 'rng0', 'blk1', 'blk2']);
    const twice = [configs[2]!, configs[2]!];
    expect(() => deviceTable.names(twice)).toThrow('two devices are named "blk1"');
  });
});

test('no device has the name of a built-in one', () => {
  const { services } = new FakeMachine();
  const names = deviceTable.builtinBeside([]).map(row => row.create(services).device.name);
  expect(deviceTable.builtinNames([])).toEqual(names);
  expect(names).toContain('com1');
  const rng = (name: string) => deviceConfig.parse({ type: 'virtio-rng', name });
  expect(() => deviceTable.names([rng('com1')])).toThrow('two devices are named "com1"');
  expect(placeDevices(deviceTable, [rng('rtc')]).problems).toEqual([
    { index: 0, option: 'name', message: 'every machine has a device named "rtc": choose another name' },
  ]);
});

test('some types are limited to one per machine', () => {
  expect(deviceTable.secondOfSingle([{ type: 'virtio-balloon' }, { type: 'virtio-rng' }])).toBeNull();
  expect(
    deviceTable.secondOfSingle([
      { type: 'virtio-balloon' },
      { type: 'virtio-rng' },
      { type: 'virtio-rng' },
      { type: 'virtio-balloon' },
    ]),
  ).toEqual({ index: 3, message: 'a VM has at most one virtio memory balloon: remove this one' });
});

describe('a table', () => {
  const row: ConfigurableType = {
    type: 'my-device',
    title: 'my device',
    description: 'a device of my own',
    bus: 'isa',
    prefix: 'my',
    replaces: 'debug-exit',
    config: z => z.strictObject({ ...deviceFields(z, 'my-device'), speed: z.int().default(1) }),
    create: () => {
      throw new Error('not built here');
    },
  };

  test('with more rows builds, names and checks them like its own', () => {
    const table = deviceTable.with(row);
    expect(deviceTable.find('my-device')).toBeUndefined();
    expect(table.find('my-device')).toBe(row);
    expect(table.find('serial')).toBeUndefined();
    const configs = [{ type: 'my-device' }, { type: 'virtio-rng' }].map(config =>
      table.schema(z).parse(config),
    );
    expect(configs[0]).toEqual({ type: 'my-device', speed: 1 });
    expect(table.names(configs)).toEqual(['my0', 'rng0']);
    expect(table.builtinBeside(configs).map(({ type }) => type)).not.toContain('debug-exit');
    expect(table.builtinBeside([]).map(({ type }) => type)).toContain('debug-exit');
    expect(table.schema(z).safeParse({ type: 'my-device', speed: 'fast' }).success).toBe(false);
    expect(deviceTable.schema(z).safeParse({ type: 'my-device' }).success).toBe(false);
  });

  test('rejects a duplicate type', () => {
    expect(() => deviceTable.with(row, row)).toThrow('two devices of type "my-device"');
    expect(() => deviceTable.with({ ...row, type: 'serial' })).toThrow('two devices of type "serial"');
  });

  test('knows the disk of an entry by the back end of its row', () => {
    const disk = { type: 'virtio-blk', path: '/a', readonly: true, cache: 'none' };
    expect(deviceTable.disk(disk)).toEqual({ path: '/a', readonly: true, cache: 'none' });
    expect(deviceTable.disk({ type: 'virtio-rng', path: '/a' })).toBeNull();
    expect(deviceTable.disk({ type: 'nothing', path: '/a' })).toBeNull();
  });
});
