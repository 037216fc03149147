import { describe, expect, test } from 'vitest';
import { QemuError } from '../../../src/definitions/qemu/error.ts';
import { readQemuOptions } from '../../../src/definitions/qemu/read.ts';
import { notYet } from '../../../src/definitions/to-machine.ts';
import { START_LINES, shellWords } from './start-lines.ts';

const host = {
  cwd: '/vms',
  hugepageSize: (path: string) => (path.startsWith('/dev/hugepages') ? 2 ** 21 : undefined),
  isMultiboot: (kernel: string) => /\.(elf|flat)$/.test(kernel),
};

/** Of each line, what keeps it from being started: keys that this version has nothing for yet, or options that are refused. */
const OUTCOMES: Readonly<Record<string, { missing: string[] } | { refused: string[] }>> = {
  'kernel developer': { missing: [] },
  virtme: { missing: [] },
  syzkaller: { missing: [] },
  'syzbot reproducer': { missing: [] },
  'kvm-unit-tests': { missing: [] },
  'buildroot start-qemu.sh': { missing: [] },
  'yocto runqemu': { missing: [] },
  'cloud image quickstart': { missing: [] },
  'cloud-init documentation': { missing: [] },
  'OVMF run script': { missing: [] },
  'edk2 -bios': { missing: [] },
  'macOS-Simple-KVM': {
    refused: ['-device isa-applesmc,osk=x'],
  },
  'Proxmox qm showcmd': { missing: [] },
  'libvirt and OpenStack': { refused: ['-netdev tap,fd=37,id=hostnet0,vhost=on,vhostfd=39'] },
  'libvirt with huge pages and one node': { missing: [] },
  'vfio GPU passthrough': { missing: [] },
  'Windows installer': { missing: [] },
  'Windows 11': { missing: [] },
  'Gentoo wiki': { missing: [] },
  'Arch wiki': { missing: [] },
  'Arch wiki, virtio-fs': { refused: ['-device vhost-user-fs-pci,queue-size=1024,chardev=char0,tag=myfs'] },
  FreeBSD: { missing: [] },
  OpenBSD: { missing: [] },
  'Debian installer': { missing: [] },
  'firecracker-like microvm': { missing: [] },
  'two nodes': { missing: [] },
  'NVMe and 9p': { refused: ['-virtfs local,path=/srv,mount_tag=host0,security_model=none'] },
  'Fedora CoreOS': { missing: [] },
  'own kernel with modules': { missing: [] },
};

function outcome(line: string) {
  try {
    const { definition } = readQemuOptions(shellWords(line), 'vm', host);
    return { missing: notYet(definition).map(({ key }) => key) };
  } catch (error) {
    if (!(error instanceof QemuError)) throw error;
    return { refused: error.problems.map(({ option }) => option) };
  }
}

describe('every option of a command line is used or reported', () => {
  test.each(Object.entries(START_LINES))('%s', (name, line) => expect(outcome(line)).toEqual(OUTCOMES[name]));
});

const definitionOf = (name: string) => readQemuOptions(shellWords(START_LINES[name]!), 'vm', host).definition;

test('a libvirt command line becomes disks, memory and boot order', () => {
  const { memory, disks, boot } = definitionOf('libvirt with huge pages and one node');
  expect(memory).toEqual({ size: 2 ** 30, hugepages: '2M', mergeable: false });
  expect(disks).toMatchObject([{ file: '/dev/vg0/db', bus: 'virtio', format: 'raw', queues: 4 }]);
  expect(disks[0]!.bootindex).toBe(1);
  expect(boot).toBeUndefined();
});

test('a Proxmox command line becomes a CPU model, disks and a network', () => {
  const { cpus, disks, nics } = definitionOf('Proxmox qm showcmd');
  expect(cpus).toMatchObject({ count: 4, model: 'qemu64', enforce: true, topology: { cores: 4 } });
  expect(cpus.features).toEqual(['+aes', '+pni', '+popcnt', '+sse4_1', '+sse4_2', '+ssse3']);
  expect(disks).toMatchObject([
    { bus: 'ide', addr: '2', cdrom: true },
    { file: '/dev/pve/vm-100-disk-0', bus: 'scsi', addr: '0:0', format: 'raw', cache: 'none' },
  ]);
  expect(nics).toMatchObject([{ network: { type: 'tap', interface: 'tap100i0' }, mac: 'bc:24:11:00:00:01' }]);
  expect(disks[1]!.bootindex).toBe(100);
});

test('a TPM is the swtpm that the command line names', () => {
  expect(definitionOf('Windows 11').tpm).toEqual({ version: 2, model: 'tis', socket: '/tmp/tpm/swtpm-sock' });
});

test('modules of a multiboot kernel have command lines', () => {
  const definition = definitionOf('own kernel with modules');
  expect(definition.machine.modules).toEqual([
    { file: '/vms/hello.elf', 'command-line': 'hello.elf 1 2' },
    { file: '/vms/data.bin', 'command-line': 'data.bin' },
  ]);
  expect(definition.devices).toEqual([
    { type: 'isa-debug-exit', iobase: 0xf4, iosize: 4 },
    { type: 'isa-debugcon', iobase: 0xe9, chardev: { type: 'console' } },
  ]);
  expect(definition['on-reboot']).toBe('stop');
});

test.each([
  ['-kernel os.elf', 'vga'],
  ['-kernel os.elf -nographic', 'vga'],
  ['-kernel os.elf -vga none', 'none'],
  ['-kernel os.elf -nodefaults', 'none'],
  ['-kernel vmlinuz', undefined],
  ['-kernel vmlinuz -nographic', 'none'],
])('a multiboot kernel has a VGA unless it is left out: %s', (line, display) =>
  expect(readQemuOptions(shellWords(line), 'os', host).definition.display).toBe(display),
);
