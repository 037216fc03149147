import { expect, test } from 'vitest';
import { plainDefinition } from '../../../src/definitions/plain.ts';
import { noteText } from '../../../src/definitions/qemu/notes.ts';
import { readQemuOptions } from '../../../src/definitions/qemu/read.ts';

function read(line: string, files: readonly string[] = []) {
  const host = { cwd: '/vms', exists: (file: string) => files.includes(file) };
  const { definition, leftOut } = readQemuOptions(line.split(' '), 'web', host);
  return { definition: plainDefinition(definition), leftOut: leftOut.map(noteText) };
}

test.each([
  '-monitor none -qmp none -audiodev none,id=a -audiodev driver=none,id=b -overcommit mem-lock=off -realtime mlock=off',
  '-serial unix:/s,server=on,wait=off -chardev socket,id=c,path=/c,server,nowait -serial chardev:c',
  '-drive if=none,id=d,file=d -device virtio-blk-pci,drive=d,scsi=off,disable-legacy=on,romfile=,share-rw=off',
  '-object memory-backend-ram,id=m,size=1G,prealloc=no,policy=default -m 1G -machine memory-backend=m',
])('%s matches what vring does, so nothing is ignored', line => {
  expect(read(`-kernel /k ${line}`).leftOut).toEqual([]);
});

test.each([
  ['-no-acpi', ['-no-acpi: guests always have ACPI']],
  ['-device i8254', ['-device i8254: every guest has one']],
  ['-nic user,addr=5', ['addr=5 of -nic user: PCI slots are assigned in the order of the devices']],
  ['-drive if=none,id=d,readonly=on', ['-drive if=none,id=d,readonly=on: no device uses d']],
])('%s is ignored and named', (line, notes) => {
  expect(read(`-kernel /k ${line}`).leftOut).toEqual(notes);
});

test('a drive without a medium is an empty CD drive, not a disk', () => {
  const drive = '-kernel /k -drive if=none,id=d';
  expect(read(`${drive} -device ide-cd,drive=d`).definition.disks).toEqual([
    { bus: 'ide', addr: '0', cdrom: true },
  ]);
  const { definition, leftOut } = read(`${drive} -device virtio-blk-pci,drive=d`);
  expect(definition.disks).toBeUndefined();
  expect(leftOut).toEqual(['-device virtio-blk-pci,drive=d: it has no medium']);
});

test('-device with a vCPU adds one from the start', () => {
  const cpu = (id: number) => ` -device kvm64-x86_64-cpu,id=cpu${id},socket-id=0,core-id=${id},thread-id=0`;
  const smp = '-kernel /k -smp 1,sockets=1,cores=4,maxcpus=4';
  const topology = { sockets: 1, cores: 4, threads: 1 };
  expect(read(smp + cpu(1)).definition.cpus).toEqual({ count: 2, maxcpus: 4, topology });
  expect(read(smp + cpu(1) + cpu(2) + cpu(3)).definition.cpus).toEqual({ count: 4, topology });
  expect(() => read(`-kernel /k -smp 2${cpu(2)}`)).toThrow('there is no room for it: -smp needs maxcpus=3');
});

test("-bios names a file in this folder, or otherwise one of QEMU's", () => {
  expect(read('-bios my.bin', ['/vms/my.bin']).definition.machine).toEqual({
    firmware: 'bios',
    'firmware-file': '/vms/my.bin',
  });
  expect(() => read('-bios my.bin')).toThrow('vring does not know the firmware "my.bin"');
  expect(read('-bios OVMF.fd').definition.machine).toEqual({ firmware: 'uefi' });
});

test('a time may be written in lower case', () => {
  expect(read('-kernel /k -rtc base=2009-06-08t00:00:00').definition.machine).toMatchObject({
    clock: '2009-06-08T00:00:00',
  });
  expect(read('-kernel /k -rtc base=localtime').definition.machine).toMatchObject({ clock: 'localtime' });
});

test('settings that a guest finds in its memory are not ignored', () => {
  expect(() => read('-kernel /k -device loader,file=a.bin,addr=0x100000')).toThrow(
    'nothing but a kernel, its initrd and modules is put into guest memory: use -initrd or -fw_cfg',
  );
});
