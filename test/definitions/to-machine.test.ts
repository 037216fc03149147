import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDefinition } from '../../src/definitions/read.ts';
import { NotYetError, notYet, toMachine } from '../../src/definitions/to-machine.ts';
import { wantedDevices } from '../../src/definitions/wanted-devices.ts';
import { type ConfigurableType, deviceFields } from '../../src/devices/device-type.ts';
import { placeDevices } from '../../src/devices/places.ts';
import { deviceTable } from '../../src/devices/registry.ts';
import { macAddress } from '../../src/engine/networks/mac-address.ts';
import { parseMachineConfig } from '../../src/vmm/machine/config.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const read = (text: string) => readDefinition(`name: web\n${text}`, { file: 'web.yaml' });
const kernel = 'machine: {kernel: /vmlinuz}';

test('what the VMM supports becomes a machine configuration', () => {
  const machine = toMachine(
    read(`
memory: {size: 1G, hugepages: 2M}
cpus: {count: 2, pinning: [2, 3], features: [-cx16], hide-hypervisor: true}
machine: {kernel: /vmlinuz, initrd: /initrd, append: console=ttyS0}
disks:
- {file: /a.img, cache: none, serial: A-1, queues: 2, limits: {iops: 100, bps: 1M}}
- {file: /b.img, readonly: true}
devices: [{type: virtio-blk, path: /c.img, name: third}]
`),
  );
  expect(machine).toEqual({
    name: 'web',
    cpus: 2,
    memory: { bytes: 2 ** 30, hugepages: '2M', mergeable: false },
    boot: { kind: 'kernel', path: '/vmlinuz', initrd: '/initrd', append: 'console=ttyS0' },
    devices: [
      {
        type: 'virtio-blk',
        path: '/a.img',
        readonly: false,
        cache: 'none',
        serial: 'A-1',
        queues: 2,
        limits: { iops: 100, bps: 2 ** 20 },
      },
      { type: 'virtio-blk', path: '/b.img', readonly: true, cache: 'writeback', queues: 1 },
      { type: 'virtio-rng' },
      {
        type: 'virtio-blk',
        path: '/c.img',
        name: 'third',
        readonly: false,
        cache: 'writeback',
        queues: 1,
      },
    ],
    cpuFeatures: { add: [], remove: ['cx16'] },
    cpuEnforce: false,
    numa: [],
    hideHypervisor: true,
    pin: [2, 3],
    onReboot: 'restart',
    confine: 'default',
    deviceModules: [],
  });
  expect(parseMachineConfig(machine).cpus).toBe(2);
});

test('topology and mergeable memory', () => {
  const machine = toMachine(
    read(`${kernel}\ncpus: {topology: {cores: 2, threads: 2}}\nmemory: {mergeable: true}`),
  );
  expect(parseMachineConfig(machine)).toMatchObject({
    cpus: 4,
    topology: { sockets: 1, cores: 2, threads: 2 },
    memory: { bytes: 2 ** 28, mergeable: true },
  });
});

test('hot-pluggable vCPUs', () => {
  const machine = parseMachineConfig(toMachine(read(`${kernel}\ncpus: {count: 2, maxcpus: 8}`)));
  expect(machine).toMatchObject({ cpus: 2, maxCpus: 8 });
  expect(() => parseMachineConfig({ ...machine, maxCpus: 1 })).toThrow(
    'maxCpus: expected at least 2, the number of vCPUs',
  );
  expect(() => parseMachineConfig({ ...machine, topology: { sockets: 1, cores: 2, threads: 1 } })).toThrow(
    'must equal the number of vCPUs, 8',
  );
});

test('a CPU model with more and fewer features', () => {
  const machine = toMachine(
    read(`${kernel}\ncpus: {model: Haswell-noTSX, features: [+aes, -cx16], enforce: true}`),
  );
  expect(parseMachineConfig(machine)).toMatchObject({
    cpuModel: 'Haswell-noTSX',
    cpuFeatures: { add: ['aes'], remove: ['cx16'] },
    cpuEnforce: true,
  });
  expect(() => read('cpus: {model: Hasswell}')).toThrow(
    'cpus.model: there is no CPU model "Hasswell": did you mean "Haswell"?',
  );
});

test('NUMA nodes', () => {
  const nodes = 'numa: [{cpus: [0], memory: 1G}, {cpus: [1], memory: 2G, distances: [21, 10]}]';
  const machine = toMachine(read(`${kernel}\nmemory: 3G\ncpus: 2\n${nodes}`));
  expect(parseMachineConfig(machine).numa).toEqual([
    { cpus: [0], bytes: 2 ** 30, distances: [10, 20] },
    { cpus: [1], bytes: 2 ** 31, distances: [21, 10] },
  ]);
});

describe('NUMA nodes that do not fit the VM', () => {
  test.each([
    ['[{cpus: [0], memory: 1G}]', 'numa: vCPU 1 is in no node: add it to one'],
    ['[{cpus: [0, 1, 2], memory: 1G}]', 'numa[0].cpus: there is no vCPU 2: expected numbers from 0 to 1'],
    ['[{cpus: [0, 1], memory: 512M}, {cpus: [1], memory: 512M}]', 'numa[1].cpus: vCPU 1 is in two nodes'],
    [
      '[{cpus: [0, 1], memory: 512M}, {memory: 256M}]',
      'numa: the nodes have 768M in total, but the VM has 1024M',
    ],
    ['[{cpus: [0, 1], memory: 1G, distances: [10, 20]}]', 'numa[0].distances: expected 1 distances'],
    [
      '[{cpus: [0, 1], memory: 1G, distances: [20]}]',
      'numa[0].distances: expected 10 as the distance to itself',
    ],
  ])('%s', (nodes, message) => {
    expect(() => read(`memory: 1G\ncpus: 2\nnuma: ${nodes}`)).toThrow(message);
  });
});

test('modules of a multiboot kernel, and a stop on reboot', () => {
  const machine = toMachine(
    read(`
machine: {kernel: /k, modules: [{file: /a, command-line: a x}, {file: /b}]}
on-reboot: stop
`),
  );
  expect(parseMachineConfig(machine)).toMatchObject({
    boot: {
      kind: 'kernel',
      modules: [
        { path: '/a', commandLine: 'a x' },
        { path: '/b', commandLine: '/b' },
      ],
    },
    onReboot: 'stop',
  });
});

describe('without a kernel, firmware boots', () => {
  test.each([
    ['', { kind: 'firmware' }],
    [
      'machine: {firmware-file: /srv/bios.bin}\nboot: {order: [cdrom, disk], once: [network], menu: true, menu-wait: 5000, retry-wait: 0, serial: true}',
      {
        kind: 'firmware',
        path: '/srv/bios.bin',
        order: ['cdrom', 'disk'],
        once: ['network'],
        menu: { show: true, waitMs: 5000 },
        retryMs: 0,
        serialConsole: true,
      },
    ],
  ])('%s', (text, boot) => expect(toMachine(read(text)).boot).toEqual(boot));

  test('in the order of indices', () =>
    expect(toMachine(read('disks: [{file: /a, bootindex: 2}]')).devices).toMatchObject([
      { bootindex: 2 },
      {},
      { type: 'vga' },
    ]));
});

test('USB devices add one controller for all of them', () => {
  const types = (text: string) => toMachine(read(text)).devices?.map(({ type }) => type);
  const given =
    'rng: false\ndisplay: none\ninputs: [tablet, keyboard]\ndisks: [{file: /a, bus: usb, discard: ignore}]';
  expect(types(given)).toEqual(['qemu-xhci', 'usb-storage', 'usb-tablet', 'usb-kbd']);
  expect(types(`${given}\ndevices: [{type: qemu-xhci}]`)).toEqual([
    ...['usb-storage', 'usb-tablet', 'usb-kbd', 'qemu-xhci'],
  ]);
  expect(() => read('inputs: [tablet, joystick]')).toThrow(
    /inputs\[1\]: expected keyboard, mouse, tablet, virtio-keyboard, virtio-mouse or virtio-tablet/,
  );
  expect(() => read('disks: [{file: /a, bus: usb, cdrom: true}]')).toThrow(
    'a CD-ROM must be on bus sata, ide or scsi',
  );
});

test('virtio input devices need no controller', () => {
  const given = 'rng: false\ndisplay: none\ninputs: [virtio-tablet, virtio-keyboard, virtio-mouse]';
  const types = toMachine(read(given)).devices?.map(({ type }) => type);
  expect(types).toEqual(['virtio-tablet', 'virtio-keyboard', 'virtio-mouse']);
});

test('SD cards add a controller, and use its slots', () => {
  const given = 'rng: false\ndisplay: none\ndisks: [{file: /a, bus: sd}, {file: /b, bus: sd, serial: 5a17}]';
  const typesOf = (text: string) => toMachine(read(text)).devices?.map(({ type }) => type);
  expect(typesOf(given)).toEqual(['sdhci-pci', 'sd-card', 'sd-card']);
  const controllers = 'devices: [{type: sdhci-pci, name: one}, {type: sdhci-pci, name: two}]';
  const { devices } = toMachine(read(`${given}\n${controllers}`));
  expect(placeDevices(deviceTable, devices!).places.map(({ bus }) => bus)).toEqual([
    'one',
    'two',
    'pci.0',
    'pci.0',
  ]);
  expect(() => read('disks: [{file: /a, bus: sd, cdrom: true}]')).toThrow('a CD-ROM must be on bus');
});

describe('a screen', () => {
  const screens = (text: string) =>
    (toMachine(read(text)).devices ?? []).filter(({ type }) => type === 'vga');

  test.each([
    ['rng: false', 1],
    ['display: none', 0],
    ['display: vga', 1],
    ['display: virtio', 0],
    [kernel, 0],
    [`${kernel}\ndisplay: vga`, 1],
    ['devices: [{type: vga, vgamem: 32}]', 1],
    ['passthrough: [{host: "0000:01:00.0", x-vga: true}]', 0],
  ])('%s', (text, count) => expect(screens(text)).toHaveLength(count));
});

test('without rng, there is none', () =>
  expect(toMachine(read(`${kernel}\nrng: false`)).devices).toEqual([]));

test('a balloon is a device with the options of its key', () => {
  const { devices } = toMachine(read(`${kernel}\nrng: false\nballoon: {target: 128M, stats: 0}`));
  expect(devices).toMatchObject([
    { type: 'virtio-balloon', target: 2 ** 27, 'guest-stats-polling-interval': 0 },
  ]);
});

test('ports have a controller with room for all of them', () => {
  const text = `${kernel}\nrng: false\nconsole: virtio\nagent: true\nserial: [pty, null, stdio]`;
  expect(toMachine(read(text)).devices).toMatchObject([
    { type: 'virtio-serial' },
    { type: 'com1', name: 'com1', chardev: { type: 'pty' } },
    { type: 'isa-serial', name: 'com2', chardev: { type: 'null' } },
    { type: 'isa-serial', name: 'com3', chardev: { type: 'console' } },
    { type: 'virtconsole' },
    { type: 'virtserialport', port: 'org.qemu.guest_agent.0', chardev: { type: 'agent' } },
  ]);
  const channels = Array.from({ length: 9 }, (_, index) => `{name: a${index}, chardev: pty}`);
  const { devices } = toMachine(read(`${kernel}\nrng: false\nchannels: [${channels}]`));
  expect(devices![0]).toMatchObject({ type: 'virtio-serial', 'max-ports': 10 });
});

test('drives on IDE and floppy buses add their controllers', () => {
  const types = (yaml: string) =>
    toMachine(read(`${kernel}\nrng: false\n${yaml}`)).devices!.map(({ type }) => type);
  expect(types('disks: [{file: /a, bus: ide}, {cdrom: true, bus: ide}, {bus: floppy}]')).toEqual([
    ...['piix3-ide', 'isa-fdc', 'ide-hd', 'ide-cd', 'floppy'],
  ]);
  expect(types('disks: [{file: /a}]')).toEqual(['virtio-blk']);
});

describe('unsupported settings are named', () => {
  test.each([
    ['', []],
    ['machine: {firmware: uefi}', []],
    [`${kernel}\npassthrough: [{host: 02:00.0}]`, []],
    [`${kernel}\nnics: [{}, {model: igb}]`, ['nics[1].model: igb network cards']],
    [`${kernel}\ndisks: [{file: /a, bus: ide}, {file: /b, cdrom: true, bus: ide}]`, []],
    [kernel, []],
  ])('%s', (text, missing) =>
    expect(notYet(read(text)).map(({ key, what }) => `${key}: ${what}`)).toEqual(missing),
  );

  test('all of it in one sentence', () => {
    const definition = read('nics: [{model: igb}, {model: vmxnet3}]\ndisks: [{file: /a, bus: ide}]');
    expect(() => toMachine(definition)).toThrow(new NotYetError('web', notYet(definition)));
    expect(() => toMachine(definition)).toThrow(
      'web cannot start: this version of vring does not support igb network cards (nics[0].model) and ' +
        'vmxnet3 network cards (nics[1].model)',
    );
  });
});

test('a new row of the device table needs no change here', () => {
  const row: ConfigurableType = {
    ...{ type: 'my-nic', title: 'my card', description: 'a network card', bus: 'pci', prefix: 'nic' },
    definition: { key: 'nics', value: 'igb' },
    config: z => z.looseObject(deviceFields(z, 'my-nic')),
    create: () => {
      throw new Error('not built here');
    },
  };
  const definition = read(
    `${kernel}\nnics: [{model: igb, network: tap, mac: "52:54:00:00:00:01", addr: "5"}, {model: igb}]\nrng: false`,
  );
  expect(toMachine(definition, deviceTable.with(row)).devices).toEqual([
    { type: 'my-nic', network: { type: 'tap' }, mac: '52:54:00:00:00:01', addr: '5' },
    { type: 'my-nic', network: { type: 'user' }, mac: macAddress('web', 1) },
  ]);
  expect(() => toMachine(definition)).toThrow('igb network cards (nics[0].model)');
});

test('a network card becomes options of its device that differ from the defaults', () => {
  const options = (nic: string) => wantedDevices(read(`nics: [${nic}]`))[0]!.entry;
  const mac = macAddress('web', 0);
  expect(options('{network: tap}')).toEqual({
    type: deviceTable.typeOfKey('nics', 'virtio'),
    network: { type: 'tap' },
    mac,
  });
  expect(
    options(
      '{network: {type: tap, interface: t0, bridge: br0, script: /up}, queues: 4, vhost: false, mtu: 9000, link: down, vectors: 9, bootindex: 2, virtio: {mrg-rxbuf: false}, limits: {transmit: {bps: 1M}}}',
    ),
  ).toMatchObject({
    network: { type: 'tap', ifname: 't0', br: 'br0', script: '/up', queues: 4 },
    ...{ queues: 4, mtu: 9000, link: false, vhost: false, vectors: 9, bootindex: 2, 'mrg-rxbuf': false },
    limits: { transmit: { bps: 2 ** 20 } },
  });
  expect(
    options(
      '{network: {type: user, dhcp-start: 10.0.2.20, domain: a.org, search: [b.org], restrict: true, ipv6: false, forward: [{host: 22, guest: 22}]}}',
    ),
  ).toMatchObject({
    network: {
      ...{ type: 'user', dhcpstart: '10.0.2.20', domainname: 'a.org', dnssearch: ['b.org'], restrict: true },
      ipv6: false,
      hostfwd: [{ protocol: 'tcp', address: '127.0.0.1', host: 22, guest: 22 }],
    },
  });
  expect(
    options('{network: {type: hub, hub: 3, networks: [user, {type: macvtap, interface: eth0}]}}'),
  ).toMatchObject({
    network: { type: 'hub', hub: 3, networks: [{ type: 'user' }, { type: 'macvtap', interface: 'eth0' }] },
  });
});

test('a derived MAC address is stable and unique to a card of a VM', () => {
  expect(macAddress('web', 0)).toMatch(/^52:54:00(:[0-9a-f]{2}){3}$/);
  expect(macAddress('web', 0)).toBe(macAddress('web', 0));
  expect(new Set([macAddress('web', 0), macAddress('web', 1), macAddress('db', 0)]).size).toBe(3);
});

describe('two disks that are the same file', () => {
  const folder = temporaryFolder();
  const file = path.join(folder, 'a.img');
  const [symbolic, hard] = ['symbolic', 'hard'].map(name => path.join(folder, name)) as [string, string];
  fs.writeFileSync(file, '');
  fs.symlinkSync(file, symbolic);
  fs.linkSync(file, hard);
  const machine =
    (...disks: string[]) =>
    () =>
      toMachine(read(`${kernel}\ndisks: [${disks.map(disk => `{file: ${disk}}`)}]`));

  test.each([symbolic, hard])('do not start, as found by a link: %#', link => {
    expect(machine(file, link)).toThrow(
      `web cannot start: disks[1].file: ${link} is the same file as ${file}, which is already used by disks[0].file: ` +
        'remove one of the two disks, or make both read-only',
    );
    expect(machine(file, `${link}, readonly: true`)).toThrow('is the same file as');
  });

  test('start if both are read-only', () => {
    expect(machine(`${file}, readonly: true`, `${hard}, readonly: true`)().devices).toHaveLength(3);
  });

  test('start if they are different files, or do not exist', () => {
    fs.writeFileSync(path.join(folder, 'b.img'), '');
    expect(machine(file, path.join(folder, 'b.img'), '/none/a', '/none/b')().devices).toHaveLength(5);
  });
});

test('a device of a device module is left to the machine', () => {
  const machine = toMachine(read(`${kernel}\ndeviceModules: [/m.ts]\ndevices: [{type: tick, interval: 5}]`));
  expect(machine).toMatchObject({
    deviceModules: ['/m.ts'],
    devices: [{ type: 'virtio-rng' }, { type: 'tick', interval: 5 }],
  });
  expect(parseMachineConfig(machine).devices[1]).toEqual({ type: 'tick', interval: 5 });
  const nested = 'deviceModules: [/m.ts]\ndevices: [{type: tick, interval: {ms: 5}}]';
  expect(() => read(nested)).toThrow(
    'devices[0].interval: expected text, a number, true or false, not a mapping of keys',
  );
});

test('a second balloon is rejected', () => {
  const machine = toMachine(read(`${kernel}\nballoon: true\ndevices: [{type: virtio-balloon}]`));
  expect(() => parseMachineConfig(machine)).toThrow(
    /^devices\.\d: a VM has at most one virtio memory balloon: remove this one$/,
  );
});
