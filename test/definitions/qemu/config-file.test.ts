import { expect, test } from 'vitest';
import { configWords } from '../../../src/definitions/qemu/config-file.ts';
import { noteText } from '../../../src/definitions/qemu/notes.ts';
import { readQemuOptions } from '../../../src/definitions/qemu/read.ts';

const FILE = `# A comment
[machine]
  type = "q35"
  accel = "kvm"

[smp-opts]
  cpus = "4"

[device "port-1"]
  driver = "pcie-root-port"
  addr = "1c.0"
  multifunction = "on"

[drive "hd"]
  if = "none"
  file = "/srv/a,b.img"

[device "ehci"]
  driver = "ich9-usb-ehci2"
[global]
  driver = "ICH9-LPC"
  property = "disable_s3"
  value = "1"
`;

test('a file is read in the place of its option', () => {
  const { definition, leftOut } = readQemuOptions(
    ['-smp', '2', '-readconfig', 'a.cfg', '-kernel', '/k', '-device', 'virtio-blk-pci,drive=hd'],
    'web',
    { cwd: '/vms', configText: file => (file === '/vms/a.cfg' ? FILE : '') },
  );
  expect(definition).toMatchObject({
    cpus: { count: 4 },
    disks: [{ file: '/srv/a,b.img' }],
    machine: { kernel: '/k', suspend: false },
  });
  expect(leftOut.map(noteText)).toEqual([
    '-smp 2: a later -smp replaces it',
    '-device id=port-1,driver=pcie-root-port,addr=1c.0,multifunction=on: vring creates bridges and controllers as devices need them',
    '-device id=ehci,driver=ich9-usb-ehci2: USB devices are on an xHCI controller, which vring creates for them',
  ]);
});

test.each([
  ['addr = "1"', 1],
  ['[device "a"]\naddr = 1', 2],
  ['[device "a"\n', 1],

  ['\u0000', 1],
])('%j is rejected with its line', (text, line) => {
  expect(() => configWords(text, '/a.cfg')).toThrow(`/a.cfg:${line}: expected a group such as`);
});

test('a file cannot include another one', () => {
  expect(() => configWords('# x\n[readconfig]\n', '/a.cfg')).toThrow(
    '/a.cfg:2: a file cannot name another one',
  );
});
