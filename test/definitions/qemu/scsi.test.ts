import { expect, test } from 'vitest';
import { readQemuOptions } from '../../../src/definitions/qemu/read.ts';
import { toMachine } from '../../../src/definitions/to-machine.ts';
import { shellWords } from './start-lines.ts';

const read = (line: string) =>
  readQemuOptions(shellWords(`-kernel k -m 256 ${line}`), 'web', {
    cwd: '/vms',
    imageFormat: () => 'raw',
  } as Parameters<typeof readQemuOptions>[2]);

test('settings without a counterpart in disks, and several controllers, become devices', () => {
  const { definition, leftOut } = read(
    '-device virtio-scsi-pci,id=one,num_queues=4 -device virtio-scsi-pci,id=two -drive if=none,id=a,file=a ' +
      '-drive if=none,id=b,file=b -device scsi-hd,drive=a,bus=one.0,scsi-id=3 -device scsi-hd,drive=b,bus=two.0,vendor=ACME',
  );
  expect(definition.disks).toMatchObject([{ file: '/vms/a', bus: 'scsi', addr: '3:0' }]);
  expect(definition.devices).toMatchObject([
    { type: 'virtio-scsi', name: 'one', queues: 4 },
    { type: 'virtio-scsi', name: 'two' },
    { type: 'scsi-hd', path: '/vms/b', vendor: 'ACME', bus: 'two' },
  ]);
  expect(leftOut).toEqual([]);
  const { devices } = toMachine(definition);
  expect(devices!.map(({ type, bus, addr }) => [type, bus, addr])).toEqual([
    ['scsi-hd', undefined, '3:0'],
    ['virtio-scsi', undefined, undefined],
    ['virtio-scsi', undefined, undefined],
    ['scsi-hd', 'two', undefined],
  ]);
});

test('a default controller is created for the disks that need one', () => {
  const { definition } = read('-drive if=scsi,file=a -device virtio-scsi-pci -device scsi-cd');
  expect(definition.devices).toEqual([]);
  const { devices } = toMachine(definition);
  expect(devices).toMatchObject([
    { type: 'virtio-scsi', name: 'scsi0' },
    { type: 'scsi-hd', path: '/vms/a' },
    { type: 'scsi-cd', readonly: true },
  ]);
});
