import { describe, expect, test } from 'vitest';
import { deviceConfig } from '../../src/devices/device-config.ts';
import { deviceNames, deviceTable } from '../../src/devices/registry.ts';

describe('the registration table', () => {
  test('has each type once, with texts that fit a list', () => {
    const types = deviceTable.map(({ type }) => type);
    expect(new Set(types).size).toBe(types.length);
    expect(types).toEqual(expect.arrayContaining(['serial', 'rtc', 'i8042', 'virtio-blk', 'virtio-rng']));
    for (const { title, description } of deviceTable) {
      expect(title).not.toBe('');
      expect(description).not.toMatch(/\.$|\n/);
    }
  });

  test('a configuration gets its defaults', () => {
    expect(deviceConfig.parse({ type: 'virtio-blk', path: '/disk' })).toEqual({
      type: 'virtio-blk',
      path: '/disk',
      readonly: false,
      cache: 'writeback',
      queues: 1,
    });
  });

  test.each([
    ['an unknown type', { type: 'floppy' }],
    ['a built-in type', { type: 'serial' }],
    ['no path', { type: 'virtio-blk' }],
    ['another format', { type: 'virtio-blk', path: '/disk', format: 'qcow2' }],
    ['no queue', { type: 'virtio-blk', path: '/disk', queues: 0 }],
    ['too many queues', { type: 'virtio-blk', path: '/disk', queues: 17 }],
    ['a serial of 21 characters', { type: 'virtio-blk', path: '/disk', serial: 'x'.repeat(21) }],
    ['a serial that is no ASCII', { type: 'virtio-blk', path: '/disk', serial: 'größe' }],
    ['an unknown option', { type: 'virtio-rng', speed: 1 }],
    ['a bad name', { type: 'virtio-rng', name: 'Rng 0' }],
  ])('%s is refused', (_what, config) => {
    expect(deviceConfig.safeParse(config).success).toBe(false);
  });

  test('names are numbered by type, skipping configured names', () => {
    const configs = [
      { type: 'virtio-blk', path: '/a' },
      { type: 'virtio-rng' },
      { type: 'virtio-blk', path: '/b', name: 'blk1' },
      { type: 'virtio-blk', path: '/c' },
    ].map(config => deviceConfig.parse(config));
    expect(deviceNames(configs)).toEqual(['blk0', 'rng0', 'blk1', 'blk2']);
    const twice = [configs[2]!, configs[2]!];
    expect(() => deviceNames(twice)).toThrow('two devices are named "blk1"');
  });
});
