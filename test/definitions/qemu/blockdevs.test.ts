import { expect, test } from 'vitest';
import { QemuError } from '../../../src/definitions/qemu/error.ts';
import { noteText } from '../../../src/definitions/qemu/notes.ts';
import { readQemuOptions } from '../../../src/definitions/qemu/read.ts';

const read = (...words: string[]) => readQemuOptions(['-kernel', '/k', ...words], 'web', { cwd: '/vms' });
const blockdev = (node: object) => ['-blockdev', JSON.stringify(node)];
const disksOf = (...words: string[]) => read(...words).definition.disks;

/** As Proxmox VE 9 describes a disk: a filter, on top of a format, on top of a file. */
const NODE = {
  driver: 'throttle',
  'node-name': 'drive-scsi0',
  'throttle-group': 'limits0',
  'read-only': false,
  discard: 'unmap',
  'detect-zeroes': 'unmap',
  file: {
    driver: 'qcow2',
    'node-name': 'f1',
    'read-only': false,
    cache: { direct: true, 'no-flush': false },
    file: {
      driver: 'file',
      filename: '/images/1.qcow2',
      aio: 'io_uring',
      'node-name': 'e1',
      cache: { direct: true, 'no-flush': false },
    },
  },
};
const group = (limits: object) => [
  '-object',
  JSON.stringify({ 'qom-type': 'throttle-group', id: 'limits0', limits }),
];

test('nested nodes are one disk', () => {
  const { definition, leftOut } = read(
    ...group({ 'iops-total': 500, 'bps-total': 2 ** 20 }),
    ...blockdev(NODE),
    ...['-device', 'virtio-scsi-pci', '-device', 'scsi-hd,drive=drive-scsi0,bootindex=1'],
  );
  expect(definition.disks).toMatchObject([
    {
      file: '/images/1.qcow2',
      bus: 'scsi',
      format: 'qcow2',
      cache: 'none',
      readonly: false,
      'detect-zeroes': 'unmap',
      bootindex: 1,
      limits: { iops: 500, bps: 2 ** 20 },
    },
  ]);
  expect(leftOut.map(noteText)).toEqual([]);
});

test('an empty throttle group limits nothing, and may be shared by several disks', () => {
  const disks = disksOf(
    ...group({}),
    ...blockdev(NODE),
    ...['-blockdev', 'file,node-name=c,filename=c,read-only=on'],
    ...blockdev({ driver: 'throttle', 'node-name': 'b', 'throttle-group': 'limits0', file: 'c' }),
    ...['-device', 'virtio-blk-pci,drive=drive-scsi0', '-device', 'virtio-blk-pci,drive=b'],
  );
  expect(disks).toMatchObject([{ format: 'qcow2' }, { file: '/vms/c', format: 'raw', readonly: true }]);
  expect(disks.map(({ limits }) => limits)).toEqual([undefined, undefined]);
});

test('limits of one direction are ignored and named', () => {
  const { leftOut } = read(
    ...group({ 'iops-read': 5 }),
    ...blockdev(NODE),
    '-device',
    'virtio-blk-pci,drive=drive-scsi0',
  );
  expect(leftOut.map(noteText)).toEqual([
    'limits.iops-read=5 of -object throttle-group: limits hold for reads and writes together: use iops-total, bps-total and their -max',
  ]);
});

test('the backing file of an image is taken from its header', () => {
  const { definition, leftOut } = read(
    ...blockdev({ driver: 'file', filename: '/base', 'node-name': 'base' }),
    ...['-blockdev', 'qcow2,node-name=d,file.driver=file,file.filename=/top,backing=base'],
    ...['-device', 'virtio-blk-pci,drive=d'],
  );
  expect(definition.disks).toMatchObject([{ file: '/top', format: 'qcow2' }]);
  expect(leftOut.map(noteText)).toEqual([
    'backing=base of -blockdev qcow2: a qcow2 image itself names its backing file',
    expect.stringMatching(/^-blockdev .*: no device uses base$/),
  ]);
});

test.each([
  [
    { driver: 'raw', 'node-name': 'd', size: 540_672, file: { driver: 'file', filename: '/a' } },
    'a disk is the whole file',
  ],
  [{ driver: 'qcow2', 'node-name': 'd', file: { driver: 'rbd', pool: 'p' } }, 'rbd map'],
  [
    { driver: 'quorum', 'node-name': 'd' },
    'expected one of file, host_device, host_cdrom, raw, qcow2, vvfat',
  ],
  [{ driver: 'raw', 'node-name': 'd' }, 'file is missing'],
  [
    {
      driver: 'throttle',
      'node-name': 'd',
      'throttle-group': 'none',
      file: { driver: 'file', filename: '/a' },
    },
    'none',
  ],
])('%j is rejected', (node, why) => {
  expect(() => read(...blockdev(node))).toThrow(QemuError);
  expect(() => read(...blockdev(node))).toThrow(why);
});

test("a size that equals the file's is ignored", () => {
  const node = { driver: 'raw', 'node-name': 'd', size: 540_672, file: { driver: 'file', filename: '/a' } };
  const words = ['-kernel', '/k', ...blockdev(node), '-device', 'virtio-blk-pci,drive=d'];
  const read = (size: number) => readQemuOptions(words, 'web', { cwd: '/vms', fileSize: () => size });
  expect(read(540_672).definition.disks).toMatchObject([{ file: '/a', format: 'raw' }]);
  expect(() => read(2 ** 22)).toThrow('a disk is the whole file');
});

test('a host CD drive, and settings stored in a qcow2 image, are not guest settings', () => {
  const disks = disksOf(
    ...['-blockdev', 'host_cdrom,node-name=c,filename=/dev/cdrom'],
    ...['-blockdev', 'qcow2,node-name=d,discard-no-unref=on,file.driver=file,file.filename=/a'],
    ...['-device', 'ide-cd,drive=c', '-device', 'virtio-blk-pci,drive=d'],
  );
  expect(disks).toMatchObject([{ file: '/dev/cdrom', format: 'raw', cdrom: true }, { file: '/a' }]);
});
