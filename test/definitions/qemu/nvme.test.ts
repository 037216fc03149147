import { expect, test } from 'vitest';
import { readQemuOptions } from '../../../src/definitions/qemu/read.ts';
import { toMachine } from '../../../src/definitions/to-machine.ts';
import { shellWords } from './start-lines.ts';

const read = (line: string) => {
  const { definition, leftOut } = readQemuOptions(shellWords(`-kernel k -m 256 ${line}`), 'web', {
    cwd: '/vms',
    imageFormat: () => 'raw',
  } as Parameters<typeof readQemuOptions>[2]);
  return { definition, leftOut: leftOut.map(({ settings, reason }) => [settings, reason]) };
};

test('a controller with a drive is a disk on bus nvme', () => {
  const { definition, leftOut } = read(
    '-drive file=nvm.img,if=none,id=nvm,format=raw,cache=none -device nvme,serial=deadbeef,drive=nvm,bootindex=1,addr=0x6,mdts=7',
  );
  expect(definition.devices).toEqual([]);
  expect(definition.disks).toMatchObject([
    { file: '/vms/nvm.img', format: 'raw', cache: 'none', bus: 'nvme', serial: 'deadbeef' },
  ]);
  expect(definition.disks[0]).toMatchObject({ bootindex: 1, addr: '06.0' });
  expect(leftOut).toEqual([['mdts=7', 'vring chooses the limits of its controllers']]);
  expect(toMachine(definition).devices).toMatchObject([
    { type: 'nvme', path: '/vms/nvm.img', addr: '06.0', serial: 'deadbeef', bootindex: 1 },
  ]);
});

test('a controller with one namespace is a disk on bus nvme', () => {
  const { definition, leftOut } = read(
    '-device nvme,id=nvme0,serial=SAMSUNG-FAST -drive file=a.qcow2,if=none,id=drv0,format=qcow2 -device nvme-ns,drive=drv0,bus=nvme0 ' +
      '-blockdev driver=raw,node-name=b,file.driver=file,file.filename=b.img -device nvme,id=nvme1,serial=INTEL-STD ' +
      `-device '{"driver":"nvme-ns","bus":"nvme1","nsid":1,"drive":"b","id":"nvme1-0"}'`,
  );
  expect(definition.disks).toMatchObject([
    { file: '/vms/a.qcow2', format: 'qcow2', bus: 'nvme', serial: 'SAMSUNG-FAST' },
    { file: '/vms/b.img', bus: 'nvme', serial: 'INTEL-STD' },
  ]);
  expect([definition.devices, leftOut]).toEqual([[], []]);
});

test('settings that a disk cannot express, and several namespaces, become devices', () => {
  const drives = ['a', 'b', 'c', 'd'].map(id => `-drive file=${id},if=none,id=${id}`).join(' ');
  const { definition, leftOut } = read(
    `${drives} -device nvme-subsys,id=sub -device nvme,id=one,serial=S1,drive=a,logical_block_size=4096,max_ioqpairs=4,subsys=sub ` +
      '-device nvme-ns,drive=b,nsid=7,bus=one,uuid=11223344-5566-7788-99aa-bbccddeeff00,zoned=false ' +
      '-device nvme,id=two,serial=S2,max_ioqpairs=8 -device nvme-ns,drive=c,bus=two,bootindex=3 ' +
      '-device nvme,serial=S3 -device nvme-ns,id=data,drive=d,bus=one,nsid=3',
  );
  expect(definition.disks).toEqual([]);
  expect(definition.devices).toMatchObject([
    { type: 'nvme-controller', name: 'one', serial: 'S1', queues: 4 },
    { type: 'nvme-ns', path: '/vms/a', bus: 'one', addr: '1', 'logical-block-size': 4096 },
    { type: 'nvme-ns', path: '/vms/b', bus: 'one', addr: '7', uuid: '11223344-5566-7788-99aa-bbccddeeff00' },
    { type: 'nvme', name: 'two', path: '/vms/c', serial: 'S2', queues: 8, bootindex: 3 },
    { type: 'nvme-ns', name: 'data', path: '/vms/d', bus: 'one', addr: '3' },
  ]);
  expect(leftOut).toEqual([
    [null, 'each NVMe controller is a subsystem of its own'],
    ['subsys=sub', 'each controller is a subsystem of its own'],
    [null, 'it has no namespaces'],
  ]);
  expect(toMachine(definition).devices!.map(({ type }) => type)).toEqual([
    ...['nvme-controller', 'nvme-ns', 'nvme-ns', 'nvme', 'nvme-ns'],
  ]);
});

test('a drive keeps its limits when it becomes a device', () => {
  const limited = '-drive file=a,if=none,id=a,throttling.iops-total=100,throttling.bps-total=2097152';
  for (const device of [
    '-device nvme,serial=S,drive=a,max_ioqpairs=2',
    '-device virtio-scsi-pci -device scsi-hd,drive=a,vendor=ACME',
  ])
    expect(read(`${limited} ${device}`).definition.devices.at(-1)).toMatchObject({
      limits: { iops: 100, bps: 2 ** 21 },
    });
});

test.each([
  ['-drive file=a,if=none,id=a -device nvme-ns,drive=a', /it has no controller: give -device nvme,serial=/],
  [
    '-device nvme,id=n,serial=S -drive file=a,if=none,id=a -device nvme-ns,drive=a,bus=m',
    /bus=m: there is no such controller/,
  ],
  ['-device nvme,serial=S -device nvme-ns', /drive is missing/],
  ['-device nvme,serial=S,drive=a', /drive=a: it does not exist/],
  ['-drive if=none,id=a -device nvme,serial=S,drive=a', /drive=a: it has no medium/],
])('%s is rejected', (line, message) => {
  expect(() => read(line)).toThrow(message);
});
