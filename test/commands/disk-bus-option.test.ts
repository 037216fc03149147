import { expect, test } from 'vitest';
import { deviceOf } from '../../src/commands/vm/device-option.ts';

test('a disk has the type of its bus', () => {
  expect(deviceOf({ disk: 'a.img' })).toMatchObject({ type: 'virtio-blk' });
  expect(deviceOf({ disk: 'a.img', bus: 'scsi' })).toEqual({ type: 'scsi-hd', path: 'a.img' });
  expect(deviceOf({ disk: 'a.img', bus: 'sata' })).toEqual({ type: 'sata-hd', path: 'a.img' });
  expect(deviceOf({ disk: 'a.img', bus: 's1', addr: '2:1' }, () => 'scsi')).toEqual({
    ...{ type: 'scsi-hd', path: 'a.img', bus: 's1', addr: '2:1' },
  });
  expect(deviceOf({ disk: 'a.img', bus: 'pci.0' })).toEqual({
    type: 'virtio-blk',
    path: 'a.img',
    bus: 'pci.0',
  });
  // A disk on bus nvme is a controller; a bus of that kind is one that there is already.
  expect(deviceOf({ disk: 'a.img', bus: 'nvme' })).toEqual({ type: 'nvme', path: 'a.img' });
  expect(deviceOf({ disk: 'a.img', bus: 'fast', addr: '2' }, () => 'nvme')).toEqual({
    ...{ type: 'nvme-ns', path: 'a.img', bus: 'fast', addr: '2' },
  });
  expect(() => deviceOf({ disk: 'a.img', bus: 'isa' })).toThrow(/no disks for isa buses/);
});
