import { describe, expect, test } from 'vitest';
import { deviceModels } from '../../src/report/device-models.ts';

const { devices, backends } = deviceModels();
const find = (type: string) => devices.find(device => device.type === type)!;

describe('the device models', () => {
  test('match their rows', () => {
    expect(find('virtio-blk')).toMatchObject({
      ...{ bus: 'pci', backend: 'disk', builtin: false, provides: null, definition: 'disks: virtio' },
      qemu: expect.arrayContaining(['virtio-blk-pci']),
    });
    expect(find('serial')).toMatchObject({ bus: 'isa', backend: 'char', builtin: true, options: [] });
    expect(find('pci-bridge').provides).toEqual({ kind: 'pci', units: 32 });
    expect(backends.map(({ kind, type }) => `${kind} ${type}`)).toEqual([
      'disk raw',
      'disk qcow2',
      'disk fat',
      'disk fat32',
      'disk fat-floppy',
      'net none',
      'net tap',
      'net hub',
      'net user',
      'net passt',
      'net bridge',
      'net macvtap',
      'net network',
      'char console',
      'char null',
      'char agent',
      'char pty',
      'char unix',
      'char tcp',
      'char file',
      'tpm emulator',
      'tpm socket',
    ]);
  });

  test('have options with their values and defaults', () => {
    const options = new Map(find('virtio-blk').options.map(option => [option.name, option]));
    expect(options.has('type')).toBe(false);
    expect(options.get('queues')).toMatchObject({ takes: 'number from 1 to 16', default: 1 });
    expect(options.get('cache')).toMatchObject({
      takes: 'writeback|none|writethrough|directsync|unsafe',
      default: 'writeback',
    });
    expect(options.get('serial')).toMatchObject({ takes: 'text', default: null });
    expect(options.get('path')).not.toHaveProperty('default');
    expect(options.get('readonly')).toMatchObject({ takes: 'true|false', default: false });
  });

  test('describe every option', () => {
    for (const { type, options } of devices) {
      for (const { name, description } of options) expect(description, `${type}: ${name}`).not.toBe('');
    }
  });
});
