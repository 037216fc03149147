import { expect, test } from 'vitest';
import { readDomain } from '../../../src/definitions/libvirt/read.ts';
import { toMachine } from '../../../src/definitions/to-machine.ts';

const read = (devices: string) => {
  const xml = `<domain type='kvm'>\n<name>web</name>\n<devices>${devices}</devices>\n</domain>`;
  const { definition, leftOut } = readDomain(xml, 'web.xml');
  return { definition, leftOut: leftOut.map(({ path, reason }) => `${path}: ${reason}`) };
};
const disk = (file: string, dev: string, more = '') =>
  `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/images/${file}'/>` +
  `<target dev='${dev}' bus='nvme'/>${more}</disk>`;

test('a disk on its own controller is on bus nvme', () => {
  const { definition, leftOut } = read(
    `${disk('a', 'nvme0n1', "<boot order='1'/><address type='drive' controller='0' bus='0' target='0' unit='0'/>")}
    <controller type='nvme' index='0'><serial>SERIAL-0</serial><alias name='nvme0'/>
      <address type='pci' domain='0x0000' bus='0x10' slot='0x02' function='0x0'/></controller>
    ${disk('b', 'nvme1n1', '<serial>dpasnvme001</serial>')}
    <controller type='nvme' model='pcie' index='7'/>`,
  );
  expect(definition.disks).toMatchObject([
    { file: '/images/a', format: 'qcow2', bus: 'nvme', serial: 'SERIAL-0', bootindex: 1 },
    { file: '/images/b', bus: 'nvme', serial: 'dpasnvme001' },
  ]);
  expect(definition.devices).toEqual([]);
  expect(leftOut).toEqual(['domain/devices/controller: it has no disks']);
});

test('several disks of a controller are its namespaces', () => {
  const iotune = '<iotune><total_bytes_sec>1048576</total_bytes_sec></iotune>';
  const { definition, leftOut } = read(
    `<controller type='nvme' index='0'><serial>S</serial></controller>
    ${disk('a', 'nvme0n2', '<readonly/>')}${disk('b', 'nvme0n1', iotune)}`,
  );
  expect(definition.disks).toEqual([]);
  expect(definition.devices).toMatchObject([
    { type: 'nvme-controller', name: 'nvme0', serial: 'S' },
    { type: 'nvme-ns', path: '/images/a', bus: 'nvme0', addr: '2', readonly: true, format: 'qcow2' },
    { type: 'nvme-ns', path: '/images/b', bus: 'nvme0', addr: '1', limits: { bps: 2 ** 20 } },
  ]);
  expect(leftOut).toEqual([]);
  expect(toMachine(definition).devices!.map(({ type }) => type)).toEqual([
    ...['vga', 'nvme-controller', 'nvme-ns', 'nvme-ns'],
  ]);
});

test('a CD drive cannot be on it', () => {
  const { leftOut } = read(
    "<disk type='file' device='cdrom'><source file='/a.iso'/><target dev='nvme0n1' bus='nvme'/></disk>",
  );
  expect(leftOut).toEqual(['domain/devices/disk: vring has no CD drives on NVMe: use bus sata']);
});
