import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDomain } from '../../../src/definitions/libvirt/read.ts';
import { plainDefinition } from '../../../src/definitions/plain.ts';
import { toMachine } from '../../../src/definitions/to-machine.ts';

const xml = fs.readFileSync(path.join(import.meta.dirname, 'web.xml'), 'utf8');

const domain = (inner: string) => `<domain type='kvm'>\n<name>web</name>\n${inner}\n</domain>`;
const read = (inner: string) => {
  const { definition, leftOut } = readDomain(domain(inner), 'web.xml');
  return {
    ...plainDefinition(definition),
    leftOut: leftOut.map(({ path: where, line, reason }) => `${line} ${where}${reason ? `: ${reason}` : ''}`),
  };
};
const base = { name: 'web', memory: '256M', cpus: 1, rng: false };

describe('a domain as written by virsh dumpxml', () => {
  const { definition, leftOut } = readDomain(xml, 'web.xml');

  test('becomes a definition', () =>
    expect(plainDefinition(definition)).toEqual({
      name: 'web',
      description: 'Der Webserver für alle',
      memory: { size: '2G', hugepages: '2M' },
      cpus: {
        count: 4,
        topology: { sockets: 1, cores: 2, threads: 2 },
        pinning: [2, 3, 6, 7],
        features: ['-cx16'],
        'hide-hypervisor': true,
      },
      machine: {
        firmware: 'uefi',
        'firmware-file': '/usr/share/OVMF/OVMF_CODE_4M.fd',
        'firmware-variables': '/var/lib/libvirt/qemu/nvram/web_VARS.fd',
        uuid: '9f3c9a1e-7b1a-4a55-9e7f-2f3f0c6f0a11',
      },
      display: 'virtio',
      tpm: { version: 2, model: 'crb' },
      graphics: { type: 'vnc', listen: 'auto' },
      disks: [
        {
          file: '/var/lib/libvirt/images/web.qcow2',
          format: 'qcow2',
          cache: 'none',
          serial: 'WEB-1',
          queues: 4,
        },
        {
          ...{ file: '/dev/vg0/data', bus: 'scsi', format: 'raw', cache: 'writethrough', readonly: true },
          limits: { iops: 100 },
        },
        { file: '/iso/debian.iso', bus: 'sata', cdrom: true },
        { bus: 'sata', cdrom: true },
      ],
      inputs: ['tablet'],
      nics: [
        {
          network: { type: 'bridge', bridge: 'br0' },
          mac: '52:54:00:aa:bb:01',
          limits: { receive: { bps: '976.5625K' } },
        },
        { model: 'e1000e', network: { type: 'network', name: 'default' }, mac: '52:54:00:aa:bb:02' },
      ],
      agent: true,
      balloon: { target: '1G', stats: 5 },
      passthrough: [{ host: '0000:02:1f.1' }],
      boot: { order: ['cdrom', 'disk'] },
      'on-crash': 'restart',
      'on-reboot': 'stop',
    }));

  test('and lists the rest, with line numbers', () => {
    const lines = xml.split('\n');
    for (const { path: where, line } of leftOut) {
      expect(lines[line - 1]).toContain(`<${where.split('/').at(-1)!.split('@')[0]}`);
    }
    expect(leftOut.map(({ path: where, reason }) => (reason ? `${where}: ${reason}` : where))).toEqual([
      'domain/metadata: it only concerns the programs that manage the domain',
      'domain/memoryBacking/locked: guest RAM is not locked, unless a device is passed through',
      'domain/cputune/emulatorpin: the host places vCPUs, threads and memory',
      'domain/cpu/feature: there is no CPU feature "mystery": did you mean "msr"? Names are those of /proc/cpuinfo',
      'domain/devices/disk/iotune/read_bytes_sec: limits hold for reads and writes together: use total_iops_sec and total_bytes_sec',
      'domain/devices/disk: a disk must be a file, a block device or a folder of this host: attach it there first, with rbd map, iscsiadm or nbd-client for instance',
      'domain/devices/interface/source: the card is connected to vring\'s own network "default", which vring net create makes: networks of libvirt are not used',
      'domain/devices/interface: vring has no vhostuser networks',
      'domain/devices/hostdev: only PCI devices can be passed through',
      'domain/seclabel: the processes of VMs are always confined',
    ]);
  });
});

describe('elements', () => {
  test.each([
    ['', { ...base, leftOut: [] }],
    [
      "<devices><rng model='virtio'><rate bytes='1024' period='2000'/><backend model='random'/></rng></devices>",
      { ...base, rng: { 'max-bytes': 1024, period: 2000 }, leftOut: [] },
    ],
    [
      "<devices><rng model='virtio'><rate bytes='1024'/><backend model='builtin'/></rng></devices>",
      { ...base, rng: { 'max-bytes': 1024, period: 1000 }, leftOut: [] },
    ],
    [
      "<devices><disk type='file' device='disk'><source file='/a.img'/><driver name='qemu' detect_zeroes='unmap'/><target dev='vda' bus='virtio'/></disk><disk type='file' device='disk'><source file='/b.img'/><driver name='qemu' detect_zeroes='unmap' discard='ignore'/><target dev='vdb' bus='virtio'/></disk></devices>",
      {
        ...base,
        disks: [
          { file: '/a.img', 'detect-zeroes': 'unmap' },
          { file: '/b.img', discard: 'ignore', 'detect-zeroes': 'on' },
        ],
        leftOut: [],
      },
    ],
    [
      "<os firmware='efi'><type>hvm</type><firmware><feature enabled='no' name='secure-boot'/></firmware></os>" +
        "<features><vmport state='off'/><smm state='off'/></features>",
      { ...base, machine: { firmware: 'uefi' }, leftOut: [] },
    ],
    [
      "<os firmware='efi'><type>hvm</type><firmware><feature enabled='yes' name='secure-boot'/></firmware></os>" +
        "<features><vmport state='on'/></features>",
      {
        ...base,
        machine: { firmware: 'uefi' },
        leftOut: [
          '3 domain/os/firmware: vring chooses firmware that does without SMM',
          '3 domain/features/vmport: this version has none',
        ],
      },
    ],
    [
      "<devices><disk type='dir' device='disk'><driver name='qemu' type='fat'/><source dir='/esp'/><target dev='vda' bus='virtio'/><readonly/></disk>" +
        "<disk type='dir' device='floppy'><source dir='/dos'/><target dev='fda'/></disk></devices>",
      {
        ...base,
        disks: [
          { file: '/esp', format: 'fat', readonly: true },
          { file: '/dos', format: 'fat-floppy', readonly: true, bus: 'floppy', addr: '0' },
        ],
        leftOut: [],
      },
    ],
    [
      "<devices><disk type='file' device='disk'><source file='/a.img'/><target dev='vda' bus='virtio'/><transient shareBacking='yes'/></disk></devices>",
      { ...base, disks: [{ file: '/a.img', transient: true }], leftOut: [] },
    ],
    [
      "<sysinfo type='fwcfg'><entry name='opt/com.coreos/config' file='/srv/config.ign'/><entry name='opt/a'>text</entry></sysinfo>",
      {
        ...base,
        machine: {
          'fw-cfg': [
            { name: 'opt/com.coreos/config', file: '/srv/config.ign' },
            { name: 'opt/a', text: 'text' },
          ],
        },
        leftOut: [],
      },
    ],
    [
      "<devices><controller type='scsi' index='0' model='virtio-scsi'><driver queues='4' iothread='1' cmd_per_lun='64'/><address type='pci'/></controller></devices>",
      {
        ...base,
        devices: [
          expect.objectContaining({ type: 'virtio-scsi', name: 'scsi0', queues: 4, 'cmd-per-lun': 64 }),
        ],
        leftOut: [],
      },
    ],
    [
      "<devices><controller type='scsi' index='1' model='virtio-scsi'><driver queues='2'/></controller><controller type='scsi' index='0'><driver queues='65' ioeventfd='on'/></controller></devices>",
      {
        ...base,
        leftOut: [
          '3 domain/devices/controller/driver: its disks are on the first SCSI controller',
          '3 domain/devices/controller/driver@queues: vring chooses how data is transferred',
          '3 domain/devices/controller/driver@ioeventfd: vring chooses how data is transferred',
        ],
      },
    ],
    [
      "<devices><controller type='scsi' model='lsilogic'/></devices>",
      {
        ...base,
        leftOut: [
          '3 domain/devices/controller: it is a virtio-scsi controller instead of lsilogic: the guest needs a driver for that',
        ],
      },
    ],
    [
      "<vcpu>16</vcpu><cpu><topology sockets='1' dies='2' clusters='2' cores='2' threads='2'/></cpu>",
      { ...base, cpus: { count: 16, topology: { sockets: 1, cores: 8, threads: 2 } }, leftOut: [] },
    ],
    [
      "<vcpu current='2'>160</vcpu>",
      {
        ...base,
        cpus: { count: 2, maxcpus: 64 },
        leftOut: ['3 domain/vcpu: a VM has room for at most 64 vCPUs'],
      },
    ],
    ["<cpu mode='host-model'><model fallback='allow'/></cpu>", { ...base, leftOut: [] }],
    ["<clock offset='variable' adjustment='0' basis='utc'/>", { ...base, leftOut: [] }],
    [
      "<clock offset='variable' basis='localtime'/>",
      { ...base, machine: { clock: 'localtime' }, leftOut: [] },
    ],
    [
      // As oVirt has it for an empty drive.
      "<devices><disk device='cdrom'><source file='' startupPolicy='optional'/><target dev='hdc' bus='ide'/></disk></devices>",
      {
        ...base,
        disks: [{ bus: 'ide', addr: '2', cdrom: true }],
        leftOut: ['3 domain/devices/disk/source@startupPolicy: a VM only starts if its disks are there'],
      },
    ],
    [
      "<devices><disk type='volume'><source pool='p' volume='v'/><target dev='vda'/></disk></devices>",
      {
        ...base,
        leftOut: [
          '3 domain/devices/disk: a disk must be a file, a block device or a folder of this host: virsh vol-path says which file the volume is',
        ],
      },
    ],
    [
      "<devices><disk><source file='/a'><encryption format='luks'/></source><target dev='vda'/></disk></devices>",
      {
        ...base,
        leftOut: ['3 domain/devices/disk: its image is encrypted: decrypt it with qemu-img convert'],
      },
    ],
    [
      "<devices><disk><source file='/a'/><target dev='sda' bus='scsi'/><serial>b4b54eb4-51b5-4aeb-96cf-6064ffeb4ca2</serial></disk></devices>",
      {
        ...base,
        disks: [{ file: '/a', bus: 'scsi', serial: 'b4b54eb4-51b5-4aeb-9' }],
        leftOut: ['3 domain/devices/disk/serial: a serial number has at most 20 characters'],
      },
    ],
    [
      // As virt-manager and KubeVirt write them.
      "<devices><input type='tablet' bus='virtio'><address type='pci' slot='0x07'/></input>" +
        "<input type='keyboard' bus='virtio'><alias name='input1'/></input>" +
        "<input type='mouse' bus='virtio' model='virtio'/><input type='keyboard' bus='ps2'/></devices>",
      {
        ...base,
        inputs: ['virtio-tablet', 'virtio-keyboard', 'virtio-mouse'],
        leftOut: [],
      },
    ],
    [
      "<devices><input type='tablet' bus='virtio'/><controller type='usb' model='qemu-xhci'/></devices>",
      { ...base, inputs: ['virtio-tablet'], devices: [{ type: 'qemu-xhci' }], leftOut: [] },
    ],
    [
      "<devices><input type='passthrough' bus='virtio'><source evdev='/dev/input/event1'/></input></devices>",
      {
        ...base,
        leftOut: [
          '3 domain/devices/input: vring has no passthrough on virtio: the guest has a PS/2 keyboard and mouse',
        ],
      },
    ],
    [
      "<devices><vsock model='virtio'><cid auto='no' address='3'/></vsock></devices>",
      {
        ...base,
        leftOut: [
          '3 domain/devices/vsock: sockets between guest and host (vsock) are not supported yet: use the network, or a <channel>',
        ],
      },
    ],
    [
      "<devices><graphics type='vnc' port='-1' autoport='yes' keymap='de'/></devices>",
      { ...base, graphics: { type: 'vnc', listen: 'auto', layout: 'de' }, leftOut: [] },
    ],
    [
      "<devices><video><model type='virtio'><acceleration accel3d='yes'/></model></video></devices>",
      {
        ...base,
        display: 'virtio',
        leftOut: ['3 domain/devices/video/model/acceleration: there is no 3D'],
      },
    ],
    [
      "<devices><input type='keyboard' bus='usb'/><input type='mouse' bus='ps2'/><controller type='usb' model='ich9-ehci1'/></devices>",
      { ...base, inputs: ['keyboard'], leftOut: [] },
    ],
    [
      "<devices><controller type='usb' model='qemu-xhci' ports='15'><address type='pci'/></controller></devices>",
      { ...base, devices: [{ type: 'qemu-xhci' }], leftOut: [] },
    ],
    [
      "<devices><controller type='usb' model='qemu-xhci'/><disk><source file='/a'/><target dev='sda' bus='usb'/></disk></devices>",
      { ...base, disks: [{ file: '/a', bus: 'usb' }], leftOut: [] },
    ],
    [
      "<devices><disk><source file='/a'/><target dev='sda' bus='sd'/></disk></devices>",
      { ...base, disks: [{ file: '/a', bus: 'sd' }], leftOut: [] },
    ],
    ["<memory unit='GB'>1</memory>", { ...base, memory: '954M', leftOut: [] }],
    ['<memory>1048576</memory><vcpu>2</vcpu>', { ...base, memory: '1G', cpus: 2, leftOut: [] }],
    [
      "<vcpu current='2'>8</vcpu><cpu><topology sockets='2' cores='4' threads='1'/></cpu>",
      {
        ...base,
        cpus: { count: 2, maxcpus: 8, topology: { sockets: 2, cores: 4, threads: 1 } },
        leftOut: [],
      },
    ],
    [
      "<vcpu placement='static' current='1'>2</vcpu><cputune><vcpupin vcpu='0' cpuset='3'/></cputune>",
      { ...base, cpus: { count: 1, maxcpus: 2, pinning: [3] }, leftOut: [] },
    ],
    [
      "<vcpu current='1'>2</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no' order='1'/><vcpu id='1' enabled='no' hotpluggable='yes'/></vcpus>",
      { ...base, cpus: { count: 1, maxcpus: 2 }, leftOut: [] },
    ],
    [
      "<vcpu current='1'>2</vcpu><vcpus><vcpu id='0' enabled='no'/><vcpu id='1' enabled='yes'/></vcpus>",
      {
        ...base,
        cpus: { count: 1, maxcpus: 2 },
        leftOut: [
          '3 domain/vcpus: the first vCPUs are present at the start, and others can be added: it has as many as current says',
        ],
      },
    ],
    ["<vcpu current='4'>4</vcpu>", { ...base, cpus: 4, leftOut: [] }],
    [
      '<memoryBacking><hugepages/></memoryBacking>',
      { ...base, memory: { size: '256M', hugepages: '2M' }, leftOut: [] },
    ],
    [
      '<os><type>hvm</type><kernel>/k</kernel><initrd>/i</initrd><cmdline>console=ttyS0</cmdline></os>',
      { ...base, machine: { kernel: '/k', initrd: '/i', append: 'console=ttyS0' }, leftOut: [] },
    ],
    [
      "<vcpu>2</vcpu><cputune><vcpupin vcpu='0' cpuset='1-3'/></cputune>",
      {
        ...base,
        cpus: 2,
        leftOut: ['3 domain/cputune/vcpupin: expected one host CPU for each of the 2 vCPUs'],
      },
    ],
    [
      "<vcpu>2</vcpu><cpu mode='custom'><model>Skylake</model><topology sockets='2' cores='2' threads='1'/></cpu>",
      {
        ...base,
        cpus: 2,
        leftOut: [
          '3 domain/cpu/model: there is no CPU model "Skylake": did you mean "Skylake-Client"?',
          '3 domain/cpu/topology: expected sockets x cores x threads to equal 2',
        ],
      },
    ],
    [
      "<devices><disk type='file' device='disk'><source file='/a'/><target dev='vda' bus='virtio'/><boot order='2'/></disk>" +
        "<interface type='direct'><source dev='eth0'/><model type='virtio'/><boot order='1'/></interface></devices>",
      {
        ...base,
        disks: [{ file: '/a', bootindex: 2 }],
        nics: [{ network: { type: 'macvtap', interface: 'eth0', mode: 'vepa' }, bootindex: 1 }],
        leftOut: [],
      },
    ],
    [
      "<os><type>hvm</type><loader type='rom'>/srv/bios.bin</loader><boot dev='fd'/><boot dev='hd'/><bootmenu enable='yes' timeout='3000'/><bios useserial='yes' rebootTimeout='0'/></os>",
      {
        ...base,
        machine: { firmware: 'bios', 'firmware-file': '/srv/bios.bin' },
        boot: { order: ['floppy', 'disk'], menu: true, 'menu-wait': 3000, 'retry-wait': 0, serial: true },
        leftOut: [],
      },
    ],
    [
      "<sysinfo type='smbios'><system><entry name='serial'>ds=nocloud</entry></system><baseBoard><entry name='product'>B</entry></baseBoard><oemStrings><entry>x</entry></oemStrings></sysinfo><os><smbios mode='sysinfo'/></os>",
      {
        ...base,
        machine: {
          smbios: { system: { serial: 'ds=nocloud' }, board: { product: 'B' }, 'oem-strings': ['x'] },
        },
        leftOut: [],
      },
    ],
    [
      "<devices><parallel type='file'><source path='/srv/lpt.prn' append='on'/><target port='0'/></parallel></devices>",
      { ...base, parallel: [{ type: 'file', path: '/srv/lpt.prn' }], leftOut: [] },
    ],
    [
      "<pm><suspend-to-mem enabled='no'/><suspend-to-disk enabled='yes'/></pm>",
      { ...base, machine: { suspend: false }, leftOut: [] },
    ],
    [
      "<clock offset='utc'><timer name='hpet' present='yes'/></clock>",
      { ...base, machine: { hpet: true }, leftOut: [] },
    ],
    ["<clock offset='localtime'/>", { ...base, machine: { clock: 'localtime' }, leftOut: [] }],
    [
      "<clock offset='absolute' start='1150560081'/>",
      { ...base, machine: { clock: '2006-06-17T16:01:21' }, leftOut: [] },
    ],
    [
      "<clock offset='variable' adjustment='3600'/>",
      {
        ...base,
        leftOut: [
          "3 domain/clock: a guest's clock shows UTC, the local time of the host, or an absolute time",
        ],
      },
    ],
    [
      "<devices><rng model='virtio'><backend model='egd' type='udp'/></rng><memballoon model='none'/></devices>",
      { ...base, leftOut: ["3 domain/devices/rng: random bytes are the host's"] },
    ],
    [
      `<devices><watchdog model='i6300esb' action='poweroff'><alias name='w'/></watchdog>
        <panic model='isa'><address type='isa' iobase='0x505'/></panic><panic model='pvpanic'/></devices>`,
      {
        ...base,
        devices: [
          { type: 'i6300esb', action: 'poweroff' },
          { type: 'pvpanic', ioport: 0x505 },
          { type: 'pvpanic-pci' },
        ],
        leftOut: [],
      },
    ],
    [
      "<devices><watchdog model='itco' action='reset'/><watchdog model='i6300esb' action='dump'/><panic model='hyperv'/></devices>",
      {
        ...base,
        leftOut: [
          '3 domain/devices/watchdog: vring has no watchdog itco: it has i6300esb',
          "3 domain/devices/watchdog: vring's watchdogs have no action dump",
          '3 domain/devices/panic: vring has no panic device hyperv',
        ],
      },
    ],
    [
      '<on_crash>coredump-destroy</on_crash>',
      { ...base, leftOut: ['3 domain/on_crash: after a crash a VM can be kept or restarted'] },
    ],
    [
      "<devices><console type='pty'><target type='virtio' port='0'/></console></devices>",
      { ...base, console: 'virtio', leftOut: [] },
    ],
  ])('%s', (inner, expected) => expect(read(inner)).toEqual(expected));

  test.each([
    ['b', 2 ** 31, 1],
    ['B', 2 ** 31, 1],
    ['BYTES', 2 ** 31, 1],
    ['byte', 2 ** 31, 1],
    ['k', 2 ** 21, 1024],
    ['KIB', 2 ** 21, 1024],
    ['', 2 ** 21, 1024],
    ['kb', 3_000_000, 1000],
    ['mib', 2048, 2 ** 20],
    ['Gib', 2, 2 ** 30],
    ['G', 2, 2 ** 30],
    ['gB', 2, 1e9],
    ['tb', 1, 1e12],
  ])('a size in %s', (unit, amount, factor) => {
    const { definition } = readDomain(domain(`<memory unit='${unit}'>${amount}</memory>`), 'web.xml');
    expect(definition.memory.size).toBe(Math.ceil((amount * factor) / 2 ** 20) * 2 ** 20);
  });

  test.each(['kbit', 'ib', 'mibs', 'z', 'constructor'])('rejects the unit %s', unit => {
    const xml = domain(`<memory unit='${unit}'>1</memory>`);
    expect(() => readDomain(xml, 'web.xml')).toThrow(
      `expected a number and a unit such as MiB, not 1 ${unit}`,
    );
  });

  const serial = "<serial type='pty'/>";
  const consoles = (...types: string[]) =>
    types
      .map((type, port) => `<console type='pty'><target type='${type}' port='${port}'/></console>`)
      .join('');
  test.each([
    [serial, 'serial', 0, []],
    [serial + serial, 'serial', 0, []],
    [serial + consoles('serial'), 'serial', 0, []],
    [serial + consoles('serial', 'serial'), 'serial', 0, ['it is the console already, which is COM1']],
    [serial + consoles('serial', 'virtio'), 'serial', 1, []],
    [serial + consoles('virtio'), 'serial', 1, []],
    [consoles('serial', 'virtio', 'virtio'), 'serial', 2, []],
    [consoles('virtio', 'virtio'), 'virtio', 1, []],
    [consoles('sclp'), 'serial', 0, ['vring has no sclp consoles']],
    ["<console type='pty'/>", 'serial', 0, []],
  ])(
    'one of several consoles is the console, and virtio ones are devices: %s',
    (inner, console, others, reasons) => {
      const { definition, leftOut } = readDomain(domain(`<devices>${inner}</devices>`), 'web.xml');
      expect(definition.console).toBe(console);
      expect(definition.devices).toEqual(
        Array(others).fill({ type: 'virtconsole', chardev: { type: 'console' } }),
      );
      expect(leftOut.map(({ path: where, reason }) => `${where}: ${reason}`)).toEqual(
        reasons.map(reason => `domain/devices/console: ${reason}`),
      );
    },
  );

  test('a controller has room for many virtio consoles', () => {
    const six = consoles('virtio', 'virtio', 'virtio', 'virtio', 'virtio', 'virtio');
    const { devices } = toMachine(readDomain(domain(`<devices>${six}</devices>`), 'web.xml').definition);
    expect(devices).toContainEqual(expect.objectContaining({ type: 'virtio-serial', 'max-ports': 6 }));
  });

  test('another virtio console keeps its connection, and a machine has both', () => {
    const socket =
      "<console type='unix'><source mode='bind' path='/run/hvc1'/><target type='virtio'/></console>";
    const { definition, leftOut } = readDomain(
      domain(`<devices>${consoles('virtio')}${socket}</devices>`),
      'web.xml',
    );
    expect(leftOut).toEqual([]);
    const chardev = { type: 'unix', path: '/run/hvc1', server: true };
    expect(definition.devices).toEqual([{ type: 'virtconsole', chardev }]);
    const { devices } = toMachine(definition);
    expect(devices?.filter(({ type }) => type === 'virtconsole')).toEqual([
      expect.objectContaining({ type: 'virtconsole' }),
      { type: 'virtconsole', chardev: expect.objectContaining(chardev) },
    ]);
  });

  test('serial ports and channels keep their connections', () => {
    const { definition, leftOut } = readDomain(
      domain(
        `<devices>${serial}<serial type='file'><source path='/log'/></serial>` +
          "<serial type='tcp'><source mode='bind' host='0.0.0.0' service='4555'/><protocol type='raw'/></serial>" +
          `<serial type='unix'><source mode='connect' path='/s'/><log file='/l'/></serial>${serial}` +
          "<channel type='unix'><source mode='bind' path='/c'/><target type='virtio' name='org.test.0'/></channel>" +
          "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel></devices>",
      ),
      'web.xml',
    );
    expect(definition).toMatchObject({
      serial: [
        { type: 'console' },
        { type: 'file', path: '/log', append: false },
        { type: 'tcp', host: '127.0.0.1', port: 4555, server: true },
        { type: 'unix', path: '/s', server: false, logfile: '/l' },
      ],
      channels: [{ name: 'org.test.0', chardev: { type: 'unix', path: '/c', server: true } }],
      agent: false,
    });
    expect(leftOut.map(({ reason }) => reason)).toEqual([
      'a guest has at most four serial ports',
      'vring has no spicevmc to connect it to',
    ]);
  });

  test('a CPU model, its features, and ignored ones', () => {
    const { cpus, leftOut } = read(
      "<cpu mode='custom' match='exact' check='full'><model fallback='forbid'>Cascadelake-Server</model>" +
        "<feature policy='require' name='ibpb'/><feature policy='disable' name='hle'/>" +
        "<feature policy='require' name='mds-no'/><feature policy='require' name='hypervisor'/></cpu>",
    );
    expect(cpus).toEqual({
      count: 1,
      model: 'Cascadelake-Server',
      features: ['+ibpb', '-hle', '+hypervisor'],
      enforce: true,
    });
    expect(leftOut).toEqual(['3 domain/cpu/feature: it is a bit of an MSR that KVM controls']);
  });

  test('NUMA cells', () => {
    const { numa, leftOut } = read(
      "<memory unit='GiB'>3</memory><vcpu>4</vcpu><cpu><numa>" +
        "<cell id='0' cpus='0-2,^1' memory='1' unit='GiB'><distances><sibling id='0' value='10'/><sibling id='1' value='21'/></distances></cell>" +
        "<cell id='1' cpus='1,3' memory='2097152' unit='KiB'/></numa></cpu>",
    );
    expect(numa).toEqual([
      { cpus: [0, 2], memory: '1G', distances: [10, 21] },
      { cpus: [1, 3], memory: '2G' },
    ]);
    expect(leftOut).toEqual([]);
    expect(read("<cpu><numa><cell id='0' cpus='0' memory='262144'/></numa></cpu>").numa).toBeUndefined();
    const wrong = (cell: string) => () => read(`<cpu><numa>${cell}</numa></cpu>`);
    expect(wrong("<cell id='1' cpus='0' memory='1'/>")).toThrow('web.xml:3: expected cell 0 here, not 1');
    expect(wrong("<cell cpus='3-1' memory='1'/>")).toThrow('expected vCPUs such as 0-3, not 3-1');
  });

  test('a 32-bit guest runs on the same machine', () =>
    expect(read("<os><type arch='i686'>hvm</type><kernel>/k</kernel></os>").machine).toEqual({
      kernel: '/k',
    }));

  test('inherited property names are ordinary names', () => {
    const found = read(
      "<os><type>hvm</type><kernel>/k</kernel><boot dev='toString'/></os>" +
        "<devices><disk type='file'><source file='/a'/><target bus='constructor'/></disk></devices>",
    );
    expect(found.leftOut).toEqual([
      '3 domain/os/boot: a guest boots from fd, hd, cdrom or network',
      '3 domain/devices/disk: vring has no constructor disks',
    ]);
  });

  test('the VM can be renamed', () =>
    expect(readDomain(domain(''), 'web.xml', 'db').definition.name).toBe('db'));
});

describe('an error names the file, the line and the reason', () => {
  test.each([
    ['', 'web.xml:1:1: Root element is missing or invalid'],
    ['<domain>\n<name>web</domain>', 'web.xml:2:10: Missing end tag for element name'],
    ['<network/>', 'web.xml:1: expected a <domain>, not <network>: virsh dumpxml NAME writes one'],
    [
      '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<domain><name>&x;</name></domain>',
      "web.xml:2:15: Named entity isn't defined: &x;",
    ],
    ['<domain>'.repeat(50_000), 'web.xml: its elements are nested too deeply'],
    [`<domain>${' '.repeat(2 ** 20)}</domain>`, 'web.xml: a domain may have at most 1 MiB'],
    [domain('<memory>lots</memory>'), 'web.xml:3: expected a number and a unit such as MiB, not lots'],
    [
      domain("<memory unit='pages'>1</memory>"),
      'web.xml:3: expected a number and a unit such as MiB, not 1 pages',
    ],
    [domain('<vcpu>two</vcpu>'), 'web.xml:3: expected a number of vCPUs, not two'],
    [
      domain("<vcpu current='9'>8</vcpu>"),
      'web.xml:3: expected a number of vCPUs from 1 to 8 in current, not 9',
    ],
    [domain('<vcpu>100</vcpu>'), 'web.xml: cpus.count: expected at most 64 vCPUs, not 100'],
    [domain("<os><type arch='aarch64'>hvm</type></os>"), 'web.xml:3: expected an x86_64 guest, not aarch64'],
    [domain('<os><type>exe</type></os>'), 'web.xml:3: expected a domain of type hvm, not exe'],
    [
      domain("<devices>\n<disk><driver type='vdi'/><source file='/a'/></disk></devices>"),
      'web.xml:4: expected a disk of format raw or qcow2, not vdi: convert it with qemu-img',
    ],
    [
      '<domain><name>ИМЯ</name></domain>',
      'web.xml:1: expected a name of at most 63 letters, digits, ".", "_" and "-", which starts with a letter or digit, not "ИМЯ": give it another with --name',
    ],
    [
      "<domain type='kvm'><memory>1</memory></domain>",
      'web.xml:1: the domain has no name: give it one with --name',
    ],
    [
      "<domain><name>a</name>\n<devices><hostdev type='pci'><source><address bus='x'/></source></hostdev></devices></domain>",
      'web.xml:2: expected a number such as 0x1f in bus, not x',
    ],
    [
      `<domain><name>a</name><cpu><numa>${"<cell cpus='0-9999' memory='1'/>".repeat(10_000)}</numa></cpu></domain>`,
      'web.xml:1: expected at most 16 NUMA nodes, not 10000',
    ],
    [
      '<domain><name>a</name><uuid>TESTING</uuid></domain>',
      'web.xml: machine.uuid: expected a UUID, such as 3f2504e0-4f89-11d3-9a0c-0305e82c3301, not "TESTING"',
    ],
  ])('%#', (text, message) => {
    let said = '';
    try {
      readDomain(text, 'web.xml');
    } catch (error) {
      said = (error as Error).message;
    }
    expect(said).toBe(message);
  });
});

test('characters that are invalid in VM names are replaced and reported', () => {
  const { definition, leftOut } = readDomain('<domain><name>Windows 10 (test)</name></domain>', 'w.xml');
  expect(definition.name).toBe('Windows-10-test');
  expect(leftOut).toMatchObject([
    { path: 'domain/name', reason: expect.stringMatching(/it becomes Windows-10-test$/) },
  ]);
  const named = readDomain('<domain><name>Windows 10</name></domain>', 'w.xml', 'other');
  expect(named.definition.name).toBe('other');
});

test('each of ten thousand elements has its line', () => {
  const sounds = "<sound model='ac97'/>\n".repeat(10_000);
  const { leftOut } = readDomain(`<domain><name>a</name>\n<devices>\n${sounds}</devices></domain>`, 'a.xml');
  expect(leftOut).toHaveLength(10_000);
  expect([leftOut[0]!.line, leftOut.at(-1)!.line]).toEqual([3, 10_002]);
});
