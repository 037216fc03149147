import { expect, test } from 'vitest';
import { plainDefinition } from '../../../src/definitions/plain.ts';
import { noteText } from '../../../src/definitions/qemu/notes.ts';
import { readQemuOptions } from '../../../src/definitions/qemu/read.ts';

function read(line: string) {
  const { definition, leftOut } = readQemuOptions(['-kernel', '/k', ...line.split(' ')], 'web', {
    cwd: '/vms',
  });
  return { disks: plainDefinition(definition).disks, leftOut: leftOut.map(noteText) };
}

const readonly = { file: '/vms/esp', format: 'fat', readonly: true };
const transient = { file: '/vms/esp', format: 'fat', transient: true };
const ide = { bus: 'ide', addr: '0' };

const LOST = 'what the guest writes is lost when the VM ends: it does not return to the folder';

test.each([
  ['-drive file=fat:esp,if=virtio', readonly],
  ['-drive format=raw,file=fat:rw:esp', { ...transient, ...ide }],
  ['-drive file=fat:rw:esp,format=vvfat,if=virtio,media=disk', transient],
  ['-drive file=fat:rw:esp,if=virtio,readonly=on', readonly],
  ['-drive file=fat:esp,if=virtio,snapshot=on', transient],
  ['-drive file=fat:32:esp,if=virtio', { ...readonly, format: 'fat32' }],
  ['-drive file=fat:16:rw:/esp,if=virtio', { ...transient, file: '/esp' }],
  ['-hda fat:esp', { ...readonly, ...ide }],
  ['-sd fat:rw:esp', { ...transient, bus: 'sd' }],
  ['-fda fat:floppy:rw:esp', { ...transient, format: 'fat-floppy', bus: 'floppy', addr: '0' }],
  ['-fda fat:esp', { ...readonly, format: 'fat-floppy', bus: 'floppy', addr: '0' }],
  ['-drive file=fat:floppy:esp,if=virtio', { ...readonly, format: 'fat-floppy' }],
  ['-drive driver=vvfat,dir=esp,rw=on,if=virtio', transient],
  ['-drive file=fat:rw:esp,file.label=cidata,if=virtio', { ...transient, label: 'cidata' }],
  ['-drive file.driver=vvfat,file.dir=esp,file.fat-type=32,if=virtio', { ...readonly, format: 'fat32' }],
  [
    '-drive if=none,id=u,file=fat:rw:esp -device qemu-xhci -device usb-storage,drive=u',
    { ...transient, bus: 'usb' },
  ],
  ['-blockdev vvfat,node-name=d,dir=esp -device virtio-blk-pci,drive=d', readonly],
  [
    '-blockdev raw,node-name=d,file.driver=vvfat,file.dir=esp,file.rw=on -device virtio-blk-pci,drive=d',
    transient,
  ],
])('%s is a disk with the content of a folder', (line, disk) => {
  expect(read(line).disks).toEqual([disk]);
});

test('differences from QEMU are named', () => {
  const notes = (line: string) => read(line).leftOut;
  expect(notes('-drive file=fat:esp,if=virtio')).toEqual([]);
  expect(notes('-drive file=fat:rw:esp,if=virtio')).toEqual([`rw of -drive file=fat:rw:esp: ${LOST}`]);
  expect(notes('-drive driver=vvfat,dir=esp,fat-type=12,label=BOOT,if=virtio')).toEqual([
    expect.stringContaining('FAT12 of '),
  ]);
  expect(notes('-fda fat:floppy:16:esp')).toEqual([
    'FAT16 of -fda fat:floppy:16:esp: the file system of a floppy disk is a FAT12',
  ]);
});

test.each([
  ['-hda fat:rx:esp', 'expected floppy, 12, 16, 32 or rw before the folder, not "rx"'],
  ['-hda fat:rw:', 'the folder is missing'],
  ['-drive file=fat:esp,format=qcow2', 'format=qcow2: a disk that is made of a folder has format=raw'],
  ['-cdrom fat:esp', 'disks[0].format: a CD-ROM cannot be made of a folder'],
  ['-blockdev vvfat,node-name=d -device virtio-blk-pci,drive=d', 'dir is missing'],
  ['-pflash fat:esp', 'only a disk can be made of a folder'],
])('%s is rejected', (line, why) => {
  expect(() => read(line)).toThrow(why);
});
