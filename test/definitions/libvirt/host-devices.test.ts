import { describe, expect, test } from 'vitest';
import { readDomain } from '../../../src/definitions/libvirt/read.ts';
import { plainDefinition } from '../../../src/definitions/plain.ts';
import { notYet } from '../../../src/definitions/to-machine.ts';

function read(devices: string) {
  const xml = `<domain type='kvm'>\n<name>web</name>\n<os><type>hvm</type><kernel>/k</kernel></os>\n<devices>\n${devices}\n</devices>\n</domain>`;
  const { definition, leftOut } = readDomain(xml, 'web.xml');
  const { passthrough, devices: others } = plainDefinition(definition);
  return {
    passthrough,
    devices: others,
    missing: notYet(definition),
    leftOut: leftOut.map(({ path, reason }) => `${path}${reason ? `: ${reason}` : ''}`),
  };
}

const port = (index: number) =>
  `<controller type='pci' index='${index}' model='pcie-root-port'>
     <model name='pcie-root-port'/><target chassis='${index}' port='0x${index}'/><alias name='pci.${index}'/>
     <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x${index - 1}'/>
   </controller>`;

/** As virsh dumpxml prints a running domain of virt-manager. */
const GRAPHICS_CARD = `
  <controller type='pci' index='0' model='pcie-root'><alias name='pcie.0'/></controller>
  ${port(1)}${port(5)}${port(6)}
  <hostdev mode='subsystem' type='pci' managed='yes'>
    <driver name='vfio'/>
    <source>
      <address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </source>
    <boot order='1'/>
    <alias name='hostdev0'/>
    <rom bar='on' file='/usr/share/vgabios/gpu.rom'/>
    <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0' multifunction='on'/>
  </hostdev>
  <hostdev mode='subsystem' type='pci' managed='yes'>
    <source><address domain='0x0000' bus='0x01' slot='0x00' function='0x1'/></source>
    <rom enabled='no'/>
    <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x1'/>
  </hostdev>`;

describe('<hostdev>', () => {
  test('a graphics card with its audio function, behind one port', () => {
    expect(read(GRAPHICS_CARD)).toEqual({
      passthrough: [
        {
          host: '0000:01:00.0',
          romfile: '/usr/share/vgabios/gpu.rom',
          bootindex: 1,
          bus: 'pci-5',
          addr: '00.0',
        },
        { host: '0000:01:00.1', rombar: false, bus: 'pci-5', addr: '00.1' },
      ],
      devices: [{ type: 'root-port', name: 'pci-5', slot: 0 }],
      missing: [],
      leftOut: [],
    });
  });

  test('with or without iommufd', () => {
    const hostdev = (driver: string, fn: number) =>
      `<hostdev mode='subsystem' type='pci'><driver name='vfio' ${driver}/>
         <source><address domain='0' bus='1' slot='16' function='${fn}'/></source></hostdev>`;
    expect(read(hostdev("iommufd='yes'", 0) + hostdev("iommufd='no'", 2)).passthrough).toEqual([
      { host: '0000:01:10.0', iommufd: true },
      { host: '0000:01:10.2', iommufd: false },
    ]);
  });

  test('settings without a meaning for vring are ignored by name', () => {
    const { passthrough, leftOut } = read(`
      <hostdev mode='subsystem' type='pci' managed='no'>
        <driver name='kvm'/>
        <source><address domain='0x0000' bus='0x01' slot='0x10' function='0x0'/></source>
        <teaming type='transient' persistent='ua-backup0'/>
      </hostdev>
      <hostdev mode='subsystem' type='mdev' model='vfio-pci'>
        <source><address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source>
      </hostdev>`);
    expect(passthrough).toEqual([{ host: '0000:01:10.0' }]);
    expect(leftOut).toEqual([
      'domain/devices/hostdev/driver: vring uses VFIO, not kvm',
      expect.stringMatching(/^domain\/devices\/hostdev\/teaming: guests have no standby card/),
      'domain/devices/hostdev: only PCI devices can be passed through',
    ]);
  });
});

describe("<interface type='hostdev'>", () => {
  const vf = (more: string) => `
    <interface type='hostdev' managed='yes'>
      <mac address='52:54:00:6D:90:02'/>
      <driver name='vfio'/>
      <source><address type='pci' domain='0x0000' bus='0x01' slot='0x10' function='0x2'/></source>
      ${more}
      <alias name='hostdev0'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x07' function='0x0'/>
    </interface>`;

  test('a virtual function with its MAC address and VLAN', () => {
    const { passthrough, leftOut } = read(vf("<vlan><tag id='42'/></vlan>"));
    expect(passthrough).toEqual([{ host: '0000:01:10.2', mac: '52:54:00:6d:90:02', vlan: 42 }]);
    expect(leftOut).toEqual([]);
  });

  test('in the order of the file, mixed with <hostdev>', () => {
    const hostdev = `<hostdev mode='subsystem' type='pci'>
      <source><address domain='0x0000' bus='0x02' slot='0x00' function='0x0'/></source></hostdev>`;
    expect(read(vf('') + hostdev).passthrough?.map(({ host }) => host)).toEqual([
      '0000:01:10.2',
      '0000:02:00.0',
    ]);
    expect(read(hostdev + vf('')).passthrough?.map(({ host }) => host)).toEqual([
      '0000:02:00.0',
      '0000:01:10.2',
    ]);
  });

  test.each([
    [
      "<virtualport type='802.1Qbh'><parameters profileid='finance'/></virtualport>",
      /port profile 802\.1Qbh of a switch/,
    ],
    ["<vlan trunk='yes'><tag id='1'/><tag id='2'/></vlan>", /a virtual function has one VLAN/],
  ])('%s is rejected', (more, reason) => expect(() => read(vf(more))).toThrow(reason));

  test('a second card of a failover pair is passed through alone', () => {
    const { passthrough, leftOut } = read(
      vf("<teaming type='transient' persistent='ua-1'/><model type='virtio'/>"),
    );
    expect(passthrough).toHaveLength(1);
    expect(leftOut).toEqual([
      expect.stringMatching(/^domain\/devices\/interface\/teaming: /),
      'domain/devices/interface/model: the guest sees the model of the device itself',
    ]);
  });
});
