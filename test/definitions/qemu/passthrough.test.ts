import { describe, expect, test } from 'vitest';
import { QemuError } from '../../../src/definitions/qemu/error.ts';
import type { QemuHost } from '../../../src/definitions/qemu/host.ts';
import { readQemuOptions } from '../../../src/definitions/qemu/read.ts';
import { notYet } from '../../../src/definitions/to-machine.ts';

const host: QemuHost = { cwd: '/vms' };

/** The words of a command line as a shell hands them on; only single quotes. */
const splitWords = (line: string) =>
  (line.match(/'[^']*'|[^\s']+/g) ?? []).map(word => word.replaceAll("'", ''));

function read(line: string) {
  const { definition, leftOut } = readQemuOptions(splitWords(line), 'web', host);
  return { definition, leftOut: leftOut.map(({ settings, reason }) => `${settings}: ${reason}`) };
}

const passed = (line: string) => read(`-kernel /k ${line}`).definition.passthrough;

function refused(line: string): string {
  try {
    read(line);
  } catch (error) {
    if (error instanceof QemuError) return error.problems.map(({ message }) => message).join('; ');
    throw error;
  }
  return 'it was read';
}

describe('-device vfio-pci', () => {
  test.each([
    ['host=01:00.0', { host: '0000:01:00.0' }],
    ['host=1:0.1', { host: '0000:01:00.1' }],
    ['sysfsdev=/sys/bus/pci/devices/0000:01:10.0', { host: '0000:01:10.0' }],
    [
      'host=01:00.0,id=gpu0,rombar=0,bootindex=2',
      { host: '0000:01:00.0', name: 'gpu0', rombar: false, bootindex: 2 },
    ],
    ['host=01:00.0,rombar=1,bootindex=-1', { host: '0000:01:00.0' }],
    [
      'host=01:00.0,romfile=vbios.rom,x-vga=on',
      { host: '0000:01:00.0', romfile: '/vms/vbios.rom', 'x-vga': true },
    ],
    [
      'host=01:00.0,x-pci-vendor-id=0x10de,x-pci-device-id=4871,x-pci-sub-vendor-id=0xffffffff',
      { host: '0000:01:00.0', 'x-pci-vendor-id': 0x10de, 'x-pci-device-id': 4871 },
    ],
    [
      'host=01:00.0,x-no-mmap=on,x-no-kvm-msix=on,x-intx-mmap-timeout-ms=0,x-req=off',
      {
        host: '0000:01:00.0',
        'x-no-mmap': true,
        'x-no-kvm-msix': true,
        'x-intx-mmap-timeout-ms': 0,
        'x-req': false,
      },
    ],
    [
      'host=01:00.0,vf-token=4B20D080-1b54-4048-85b3-a6a62d165c01',
      { host: '0000:01:00.0', 'vf-token': '4b20d080-1b54-4048-85b3-a6a62d165c01' },
    ],
    ['host=01:00.0,addr=5.1', { host: '0000:01:00.0', addr: '05.1' }],
    ['host=01:00.0,multifunction=on', { host: '0000:01:00.0', multifunction: true }],
  ])('%s', (properties, entry) => expect(passed(`-device vfio-pci,${properties}`)).toEqual([entry]));

  test('through iommufd, which several devices share', () => {
    const line =
      '-object iommufd,id=iommufd0 -device vfio-pci,host=01:00.0,iommufd=iommufd0 ' +
      '-device vfio-pci,host=02:00.0,iommufd=iommufd0 -device vfio-pci,host=03:00.0';
    expect(passed(line)).toEqual([
      { host: '0000:01:00.0', iommufd: true },
      { host: '0000:02:00.0', iommufd: true },
      { host: '0000:03:00.0' },
    ]);
    expect(refused('-kernel /k -device vfio-pci,host=01:00.0,iommufd=io')).toBe(
      'iommufd=io: it does not exist: define it with -object iommufd,id=io',
    );
  });

  test.each([
    ['sysfsdev=/sys/bus/mdev/devices/4b20d080-1b54-4048-85b3-a6a62d165c01', /^sysfsdev: mediated devices/],
    ['host=01:00.0,fd=24', /^fd: vring opens the device itself/],
    ['host=01:00.0,vf-token=secret', /vf-token: expected a UUID/],
    ['host=01:00.0,x-pci-vendor-id=0x1ffff', /^x-pci-vendor-id takes a number up to 65535/],
    ['host=01:00.0,x-vga=maybe', /^x-vga takes on or off/],
    ['host=01:00.0,frob=1', /does not support "frob" here/],
  ])('%s is rejected', (properties, reason) =>
    expect(refused(`-kernel /k -device vfio-pci,${properties}`)).toMatch(reason),
  );

  test('settings that a guest does not need are ignored by name', () => {
    const line =
      '-kernel /k -device vfio-pci,host=00:02.0,x-igd-opregion=on,display=auto,enable-migration=off';
    expect(read(line).leftOut).toEqual([
      expect.stringMatching(/^x-igd-opregion=on: .*displays stay dark/),
      expect.stringMatching(/^display=auto: /),
      expect.stringMatching(/^enable-migration=off: /),
    ]);
  });
});

describe('buses', () => {
  test('a root port with a passed-through device behind it is kept, others are ignored', () => {
    const { definition, leftOut } = read(
      '-kernel /k -device pcie-root-port,id=rp1,bus=pcie.0,addr=0x1c,chassis=1,slot=3 ' +
        '-device pcie-root-port,id=rp2,bus=pcie.0,chassis=2 -device vfio-pci,host=01:00.0,bus=rp1',
    );
    expect(definition.devices).toEqual([{ type: 'root-port', name: 'rp1', addr: '1c', slot: 3 }]);
    expect(definition.passthrough).toEqual([{ host: '0000:01:00.0', bus: 'rp1' }]);
    expect(leftOut).toEqual([expect.stringMatching(/bridges and controllers/)]);
  });

  test('a function with a number other than 0 has no address without its neighbors', () => {
    const { definition } = read(
      '-kernel /k -device pcie-root-port,id=pci.1,bus=pcie.0,multifunction=on,addr=0x2 ' +
        '-device pcie-root-port,id=pci.2,bus=pcie.0,addr=0x2.0x1 -device vfio-pci,host=01:00.0,bus=pci.2,addr=0x0',
    );
    expect(definition.devices).toEqual([{ type: 'root-port', name: 'pci-2', slot: 0 }]);
    expect(definition.passthrough).toEqual([{ host: '0000:01:00.0', bus: 'pci-2', addr: '00.0' }]);
  });

  test('bridges behind bridges', () => {
    const { definition } = read(
      '-kernel /k -device pcie-root-port,id=rp -device pcie-pci-bridge,id=br,bus=rp -device vfio-pci,host=03:00.0,bus=br,addr=4',
    );
    expect(definition.devices).toEqual([
      { type: 'root-port', name: 'rp', slot: 0 },
      { type: 'pcie-pci-bridge', name: 'br', bus: 'rp' },
    ]);
    expect(definition.passthrough).toEqual([{ host: '0000:03:00.0', bus: 'br', addr: '04.0' }]);
  });
});

test('a graphics card in Proxmox, whose ports are in a separate file', () => {
  const { definition, leftOut } = read(
    `/usr/bin/kvm -id 100 -name 'gaming,debug-threads=on' -smp '8,sockets=1,cores=8,maxcpus=8' -nodefaults
     -cpu 'host,hv_ipi,hv_relaxed,kvm=off,+kvm_pv_eoi' -m 16384 -kernel /k
     -device 'vfio-pci,host=0000:01:00.0,id=hostpci0.0,bus=ich9-pcie-port-1,addr=0x0.0,x-vga=on,multifunction=on,romfile=/usr/share/kvm/vbios.rom'
     -device 'vfio-pci,host=0000:01:00.1,id=hostpci0.1,bus=ich9-pcie-port-1,addr=0x0.1'
     -device 'vfio-pci,host=0000:04:10.2,id=hostpci1,bus=pci.0,addr=0x11' -machine 'type=pc-q35-8.1'`.replaceAll(
      /\s+/g,
      ' ',
    ),
  );
  expect(definition.passthrough).toEqual([
    {
      host: '0000:01:00.0',
      name: 'hostpci0-0',
      bus: 'ich9-pcie-port-1',
      addr: '00.0',
      'x-vga': true,
      romfile: '/usr/share/kvm/vbios.rom',
    },
    { host: '0000:01:00.1', name: 'hostpci0-1', bus: 'ich9-pcie-port-1', addr: '00.1' },
    { host: '0000:04:10.2', name: 'hostpci1', addr: '11.0' },
  ]);
  expect(definition.devices).toEqual([{ type: 'root-port', name: 'ich9-pcie-port-1', slot: 0 }]);
  expect(leftOut.filter(note => note.startsWith('bus='))).toEqual([
    'bus=ich9-pcie-port-1: no option defines this bus: it becomes a root port',
    'bus=ich9-pcie-port-1: no option defines this bus: it becomes a root port',
  ]);
  expect(notYet(definition)).toEqual([]);
});

test('a virtual function as started by libvirt, in JSON', () => {
  const { definition } = read(
    `-kernel /k -device '{"driver":"pcie-root-port","port":8,"chassis":1,"id":"pci.1","bus":"pcie.0","multifunction":true,"addr":"0x1"}'
     -device '{"driver":"pcie-root-port","port":9,"chassis":2,"id":"pci.2","bus":"pcie.0","addr":"0x1.0x1"}'
     -object '{"qom-type":"iommufd","id":"iommufd0"}'
     -device '{"driver":"vfio-pci","host":"0000:01:10.0","id":"hostdev0","bus":"pci.2","addr":"0x0","rombar":0,"iommufd":"iommufd0"}'`.replaceAll(
      /\s+/g,
      ' ',
    ),
  );
  expect(definition.devices).toEqual([{ type: 'root-port', name: 'pci-2', slot: 0 }]);
  expect(definition.passthrough).toEqual([
    { host: '0000:01:10.0', name: 'hostdev0', bus: 'pci-2', addr: '00.0', rombar: false, iommufd: true },
  ]);
  expect(notYet(definition)).toEqual([]);
});
