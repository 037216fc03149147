import { describe, expect, test } from 'vitest';
import { DefinitionError } from '../../src/definitions/problem.ts';
import { readDefinition } from '../../src/definitions/read.ts';
import { deviceTable } from '../../src/devices/registry.ts';

const TYPES = deviceTable.configurable.map(({ type }) => type).join(', ');

const source = { file: 'web.yaml', name: 'web' };

/** What is wrong with a text, a line for each problem, without the file. */
function problems(text: string | Uint8Array): string[] {
  try {
    readDefinition(text, source);
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    expect(error.message.startsWith('web.yaml:')).toBe(true);
    return error.problems.map(each => `${each.line}:${each.column} ${each.path}: ${each.message}`);
  }
  return [];
}

/** Of a definition, as problems list them. */
const KEYS =
  'name, description, memory, cpus, numa, machine, disks, nics, console, serial, parallel, channels, agent, rng, balloon, display, inputs, tpm, graphics, passthrough, devices, deviceModules, boot, autostart, on-crash, on-reboot, confine';

describe('short forms are expanded', () => {
  test('a name alone', () =>
    expect(readDefinition('name: web', source)).toEqual({
      name: 'web',
      memory: { size: 256 * 2 ** 20, mergeable: false },
      cpus: { count: 1, enforce: false, features: [], 'hide-hypervisor': false },
      numa: [],
      machine: {},
      disks: [],
      nics: [],
      console: 'serial',
      rng: true,
      balloon: false,
      inputs: [],
      serial: [],
      parallel: [],
      channels: [],
      agent: false,
      passthrough: [],
      devices: [],
      deviceModules: [],
      autostart: false,
      confine: 'default',
      'on-crash': 'keep',
      'on-reboot': 'restart',
    }));

  test.each([
    ['memory: 512M', { memory: { size: 512 * 2 ** 20, mergeable: false } }],
    ['memory: 512', { memory: { size: 512 * 2 ** 20, mergeable: false } }],
    [
      'memory: {size: 1.5g, hugepages: 2M}',
      { memory: { size: 1.5 * 2 ** 30, hugepages: '2M', mergeable: false } },
    ],
    ['memory: {mergeable: true}', { memory: { size: 256 * 2 ** 20, mergeable: true } }],
    ['cpus: 4', { cpus: { count: 4, enforce: false, features: [], 'hide-hypervisor': false } }],
    [
      'cpus: {topology: {cores: 2, threads: 2}, pinning: [0, 1, 4, 5], features: [-cx16]}',
      {
        cpus: {
          count: 4,
          topology: { sockets: 1, cores: 2, threads: 2 },
          pinning: [0, 1, 4, 5],
          features: ['-cx16'],
          'hide-hypervisor': false,
        },
      },
    ],
    ['cpus: {count: 2, maxcpus: 8}', { cpus: { count: 2, maxcpus: 8 } }],
    ['cpus: {maxcpus: 4, count: 4, pinning: [1, 2, 3, 4]}', { cpus: { count: 4, pinning: [1, 2, 3, 4] } }],
    [
      'cpus: {count: 2, maxcpus: 4, topology: {cores: 2, threads: 2}, pinning: [0, 1]}',
      { cpus: { count: 2, maxcpus: 4, topology: { sockets: 1, cores: 2, threads: 2 }, pinning: [0, 1] } },
    ],
    [
      'cpus: {count: 1, maxcpus: 2}\nmemory: 2G\nnuma: [{cpus: [0], memory: 1G}, {cpus: [1], memory: 1G}]',
      { numa: [{ cpus: [0] }, { cpus: [1] }] },
    ],
    ['nics: [{}]', { nics: [{ model: 'virtio', network: { type: 'user', forward: [] } }] }],
    ['nics: [{network: tap}]', { nics: [{ model: 'virtio', network: { type: 'tap' } }] }],
    [
      'nics: [{mac: "52:54:00:AB:CD:EF", network: {type: user, forward: [{host: 2222, guest: 22}]}}]',
      {
        nics: [
          {
            model: 'virtio',
            mac: '52:54:00:ab:cd:ef',
            network: {
              type: 'user',
              forward: [{ protocol: 'tcp', address: '127.0.0.1', host: 2222, guest: 22 }],
            },
          },
        ],
      },
    ],
    ['disks: [{file: /a}]', { disks: [{ file: '/a', bus: 'virtio', readonly: false, queues: 1 }] }],
    [
      'disks: [{file: /a, cdrom: true}]',
      { disks: [{ file: '/a', bus: 'scsi', readonly: true, cdrom: true }] },
    ],
    ['passthrough: [{host: 02:00.0}]', { passthrough: [{ host: '0000:02:00.0' }] }],
    ['passthrough: [{host: 02:00}]', { passthrough: [{ host: '0000:02:00' }] }],
    ['passthrough: [{host: 0000:02:1F}]', { passthrough: [{ host: '0000:02:1f' }] }],
    [
      'passthrough: [{host: 02:00.0, x-pci-vendor-id: 0x1af4, mac: 52:54:00:AB:00:01, vlan: 0}]',
      {
        passthrough: [{ host: '0000:02:00.0', 'x-pci-vendor-id': 0x1af4, mac: '52:54:00:ab:00:01', vlan: 0 }],
      },
    ],
    ['passthrough: [{host: 10000:E1:00.0}]', { passthrough: [{ host: '10000:e1:00.0' }] }],
    [
      'disks: [{file: /a, limits: {iops: 500, bps: 50M, bps-burst: 200}}]',
      { disks: [{ limits: { iops: 500, bps: 50 * 2 ** 20, 'bps-burst': 200 * 2 ** 20 } }] },
    ],
    ['rng: {max-bytes: 1024}', { rng: { 'max-bytes': 1024 } }],
    ['disks: [{file: /a, virtio: {packed: true}}]', { disks: [{ virtio: { packed: true } }] }],
    ['devices: [{type: virtio-blk, path: /a}]', { devices: [{ type: 'virtio-blk', path: '/a', queues: 1 }] }],
  ])('%s', (text, expected) => expect(readDefinition(`name: web\n${text}`, source)).toMatchObject(expected));
});

describe('a problem has its location and what was expected', () => {
  test.each([
    ['', '1:1 : expected a mapping of keys, not nothing'],
    ['- web', '1:1 : expected a mapping of keys, not a list'],
    [
      'memory: 1G',
      '1:1 name: missing: expected a name of at most 63 letters, digits, ".", "_" and "-", which starts with a letter or digit',
    ],
    ['name: db', '1:7 name: expected "web", the name of the file, not "db"'],
    [
      'name: [',
      '1:8 : not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['name: web\nname: web', '2:1 : key "name" is given twice'],
    ['name: web\n---\nname: db', '2:1 : a file holds one definition: remove the second document ("---")'],
    ['name: !!set web', '1:13 name: expected a plain value: remove the tag !!set'],
    ['memory: !!binary aGVsbG8=', '1:18 memory: expected a plain value: remove the tag !!binary'],
    [
      'disks:\n- file: !!binary aGVsbG8=',
      '2:18 disks[0].file: expected a plain value: remove the tag !!binary',
    ],
    ['nics: !!set {a, b}', '1:13 nics: expected a plain value: remove the tag !!set'],
    ['boot: !!omap [a: 1]', '1:14 boot: expected a plain value: remove the tag !!omap'],
    [
      'description: !!timestamp 2001-12-14',
      '1:26 description: expected a plain value: remove the tag !!timestamp',
    ],
    ['cpus: !!int 2', '1:13 cpus: expected a plain value: remove the tag !!int'],
    ['description: !own x', '1:19 description: expected a plain value: remove the tag !own'],
    ['description: !no!handle x', '1:14 : tags (!name) are not allowed'],
    ['name: db', '1:7 name: expected "web", the name of the file, not "db"'],
    [
      'name: [',
      '1:8 : not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['name: web\nname: web', '2:1 : key "name" is given twice'],
    ['name: web\n---\nname: db', '2:1 : a file holds one definition: remove the second document ("---")'],
    [
      'name: web\ndisks:\n- file: /a\n- file: /b\n- file: /a\n  readonly: true',
      '5:9 disks[2].file: /a is already used by disks[0].file: remove one of the two disks, or make both read-only',
    ],
    [
      'name: web\ndisks: [{file: /a}]\ndevices: [{type: virtio-blk, path: /a}]',
      '3:36 devices[0].path: /a is already used by disks[0].file: remove one of the two disks, or make both read-only',
    ],
    [
      'name: web\ndevices: [{type: virtio-rng, name: a}, {type: virtio-rng, name: a}]',
      '2:65 devices[1].name: devices[0] is named "a" already: choose another name',
    ],
    [
      'name: web\npassthrough: [{host: 02:00.0, name: a}]\ndevices: [{type: virtio-rng, name: a}]',
      '3:36 devices[0].name: passthrough[0] is named "a" already: choose another name',
    ],
    [
      'name: web\ndevices: [{type: virtio-rng, name: rtc}]',
      '2:36 devices[0].name: every machine has a device named "rtc": choose another name',
    ],
    [
      'name: web\ndisks: [{file: /a, format: fat}]',
      '2:28 disks[0].format: nothing that the guest writes returns to the folder: set readonly: true, or transient: true if what it writes may be lost',
    ],
    [
      'name: web\ndisks: [{file: /a, format: fat, readonly: true, bus: floppy}]',
      '2:28 disks[0].format: a floppy disk that is made of a folder has format fat-floppy',
    ],
    [
      'name: web\ndisks: [{file: /a, readonly: true, transient: true}]',
      '2:47 disks[0].transient: the guest cannot write to it: leave this out',
    ],
    [
      'name: web\ndisks: [{file: /a, discard: ignore, detect-zeroes: unmap}]',
      '2:52 disks[0].detect-zeroes: unmap gives space back, which discard: ignore forbids: use on',
    ],
    ['name: &n web\ndescription: *n', '2:14 : aliases are not allowed: write out what *n stands for'],
    ['name: web\n? {a: 1}\n: 2', '2:3 : not YAML: With stringKeys, all keys must be strings'],
  ])('%j', (text, problem) => expect(problems(text)).toEqual([problem]));

  test.each([
    ['memroy: 1G', '2:1 memroy: unknown key "memroy": did you mean "memory"?'],
    ['memory: [1]', '2:9 memory: expected a size such as 512M, or settings, not a list'],
    ['memory: 1X', '2:9 memory: expected a size such as 512M or 2G, not "1X"'],
    ['memory:', '2:8 memory: expected a size such as 512M, or settings, not nothing'],
    ['memory: 3K', '2:9 memory: expected a whole number of MiB, at least 2M, not 3K'],
    ['memory: {sizes: 1G}', '2:10 memory.sizes: unknown key "sizes": did you mean "size"?'],
    ['memory: {hugepages: 4M}', '2:21 memory.hugepages: expected 2M or 1G, not "4M"'],
    [
      'memory: {hugepages: 2M, mergeable: true}',
      '2:36 memory.mergeable: the host cannot merge huge pages: remove memory.mergeable or memory.hugepages',
    ],
    ['cpus: two', '2:7 cpus: expected a number of vCPUs, or settings, not "two"'],
    ['cpus: 65', '2:7 cpus: expected at most 64 vCPUs, not 65'],
    [
      'cpus: {count: 3, topology: {cores: 2}}',
      '2:28 cpus.topology: sockets x cores x threads (1 x 2 x 1 = 2) must equal count, 3',
    ],
    ['cpus: {count: 3, maxcpus: 2}', '2:27 cpus.maxcpus: expected at least 3, the number of vCPUs'],
    [
      'cpus: {count: 3, pinning: [1]}',
      '2:27 cpus.pinning: expected one host CPU for each of the 3 vCPUs, not 1',
    ],
    [
      'cpus: {features: [cx16]}',
      '2:19 cpus.features[0]: expected a feature name with a leading "-" or "+", such as -cx16, not "cx16"',
    ],
    [
      'cpus: {features: [-avx3]}',
      '2:19 cpus.features[0]: there is no CPU feature "avx3": did you mean "avx"? Names are those of /proc/cpuinfo',
    ],
    ['machine: {append: quiet}', '2:19 machine.append: this needs a kernel: set machine.kernel'],
    [
      'machine: {kernel: /k, firmware: bios, modules: [{file: /m}]}',
      '2:48 machine.modules: firmware boots no kernel with modules: remove them, or the firmware',
    ],
    [
      'machine: {firmware-variables: /v.fd}',
      '2:31 machine.firmware-variables: this is for UEFI: set machine.firmware: uefi',
    ],
    [
      'machine: {firmware: uefi, firmware-file: /c.fd, secure-boot: true}',
      '2:62 machine.secure-boot: machine.secure-boot chooses the firmware: remove machine.firmware-file',
    ],
    ['disks: {file: /a}', '2:8 disks: expected a list, not a mapping of keys'],
    [
      'disks: [{bus: virtio}]',
      '2:9 disks[0].file: expected the image file or block device: only a CD-ROM or floppy drive can be empty',
    ],
    [
      'disks:\n- file: disk.img',
      '3:9 disks[0].file: expected an absolute path, such as /var/lib/vring/disk.img, not "disk.img"',
    ],
    [
      'disks:\n- file: /a\n  bus: mmc',
      '4:8 disks[0].bus: expected virtio, scsi, sata, nvme, ide, floppy, usb or sd, not "mmc"',
    ],
    ['disks:\n- file: /a\n  bsu: ide', '4:3 disks[0].bsu: unknown key "bsu": did you mean "bus"?'],
    [
      'disks: [{file: /a, cdrom: true, bus: virtio}]',
      '2:38 disks[0].bus: a CD-ROM must be on bus sata, ide or scsi',
    ],
    [
      'disks: [{file: /a, bus: ide, virtio: {packed: true}}]',
      '2:38 disks[0].virtio: only a disk on bus virtio has these settings',
    ],
    [
      'disks: [{file: /a, limits: {bps: fast}}]',
      '2:34 disks[0].limits.bps: expected a size such as 50M, for each second, not "fast"',
    ],
    [
      'disks: [{file: /a, limits: {iops: 50, iops-burst: 5}}]',
      '2:51 disks[0].limits.iops-burst: a burst of less than iops: give at least as much',
    ],
    [
      'disks: [{file: /a, limits: {bps-burst: 5M}}]',
      '2:40 disks[0].limits.bps-burst: a burst needs a limit: give bps, too',
    ],
    [
      'disks: [{file: /a, bus: ide, queues: 2}]',
      '2:38 disks[0].queues: only a disk on bus virtio can have more than one queue',
    ],
    ['nics: [{network: usr}]', '2:18 nics[0].network: expected user, tap, passt or none, not "usr"'],
    [
      'nics: [{network: {}}]',
      '2:18 nics[0].network.type: missing: expected user, tap, bridge, macvtap, network, passt, none or hub',
    ],
    [
      'nics: [{network: {type: brigde}}]',
      '2:25 nics[0].network.type: expected user, tap, bridge, macvtap, network, passt, none or hub, not "brigde"',
    ],
    [
      'nics: [{network: {type: tap, brige: x}}]',
      '2:30 nics[0].network.brige: unknown key "brige": did you mean "bridge"?',
    ],
    [
      'nics: [{mac: "52:54:00:12:34:56"}, {}, {mac: "52:54:00:12:34:56"}]',
      '2:46 nics[2].mac: 52:54:00:12:34:56 is already the MAC address of nics[0]: change one of the two, or leave it out',
    ],
    [
      'nics: [{limits: {receive: {pps: 5, pps-burst: 1}}}]',
      '2:47 nics[0].limits.receive.pps-burst: a burst of less than pps: give at least as much',
    ],
    [
      'nics: [{network: {type: user, forward: [{host: 53, guest: 53}, {host: 53, guest: 53, protocol: udp}, {host: 53, guest: 5, address: 0.0.0.0}]}}]',
      '2:109 nics[0].network.forward[2].host: tcp port 53 of 0.0.0.0 is forwarded twice: choose another port',
    ],
    [
      'nics: [{network: {type: user, guest-forward: [{address: 10.0.2.9, port: 1}]}}]',
      '2:47 nics[0].network.guest-forward[0].to: a guest-forward has either `to` or `command`',
    ],
    [
      'nics: [{virtio: {guest-tso: true}}]',
      '2:18 nics[0].virtio.guest-tso: unknown key "guest-tso": did you mean "guest-tso4"?',
    ],
    [
      'nics: [{mac: "53:54:00:12:34:56"}]',
      '2:14 nics[0].mac: expected a unicast MAC address, such as 52:54:00:12:34:56, not "53:54:00:12:34:56"',
    ],
    [
      'passthrough: [{host: 02:00.0}, {host: 02:00.1}, {host: 0000:02:00.0}]',
      '2:56 passthrough[2].host: 0000:02:00.0 is already passed by passthrough[0]: remove one of the two',
    ],
    [
      'passthrough: [{host: 02:00}, {host: 02:00.1}]',
      '2:37 passthrough[1].host: 0000:02:00.1 is already passed by passthrough[0] (0000:02:00): remove one of the two',
    ],
    [
      'passthrough: [{host: 02:00.0, vlan: 42, qos: 8}]',
      '2:46 passthrough[0].qos: expected a priority from 0 to 7, not 8',
    ],
    [
      'passthrough: [{host: 02:00.0, vlan: 4095}]',
      '2:37 passthrough[0].vlan: expected a VLAN from 0 to 4094, not 4095',
    ],
    [
      'passthrough: [{host: 2:0}]',
      '2:22 passthrough[0].host: expected a PCI address, such as 0000:02:00.0, or 0000:02:00 for all functions of the device, not "2:0"',
    ],
    [
      'devices: [{type: flopy}]',
      `2:18 devices[0].type: expected ${TYPES}, or a type that a device module adds (deviceModules), not "flopy"`,
    ],
    [
      'devices: [{type: virtio-blk, path: /a, pth: /a}]',
      '2:40 devices[0].pth: unknown key "pth": did you mean "path"?',
    ],
    [
      'devices: [{type: virtio-blk, path: /a, queues: 99}]',
      '2:48 devices[0].queues: at most 16 queues, not 99',
    ],
    [
      'boot: {order: [disk, disk]}',
      '2:15 boot.order: expected each of disk, cdrom, network and floppy at most once',
    ],
    ['boot: {once: []}', '2:14 boot.once: expected at least one of disk, cdrom, network, floppy'],
    ['autostart: yes', '2:12 autostart: expected true or false, not "yes"'],
    ['on-crash: reboot', '2:11 on-crash: expected keep or restart, not "reboot"'],
    [
      'description: "a\\e[2Jb"',
      '2:14 description: expected one line without control characters, not "a?[2Jb"',
    ],
    ['"a\\e[2Jb": 1', `2:1 a?[2Jb: unknown key "a?[2Jb": the keys here are ${KEYS}`],
    ['__proto__: {}', `2:1 __proto__: unknown key "__proto__": the keys here are ${KEYS}`],
  ])('%s', (text, problem) => expect(problems(`name: web\n${text}`)).toEqual([problem]));

  test('all problems, in the order of the text', () =>
    expect(problems('memory: 1X\nname: web\ncpus: 0\nautostrat: true')).toEqual([
      '1:9 memory: expected a size such as 512M or 2G, not "1X"',
      '3:7 cpus: expected at least 1 vCPU, not 0',
      '4:1 autostrat: unknown key "autostrat": did you mean "autostart"?',
    ]));
});

describe('texts that are not definitions', () => {
  test('not UTF-8', () =>
    expect(problems(Uint8Array.of(0x6e, 0x61, 0xff))).toEqual(['1:1 : expected text in UTF-8']));

  test('a byte order mark is skipped', () => expect(problems(Buffer.from('\ufeffname: web'))).toEqual([]));

  test('too long', () =>
    expect(problems(`name: web\n#${'x'.repeat(256 * 1024)}`)).toEqual([
      '1:1 : a definition may have at most 256 KiB',
    ]));

  test('aliases of aliases', () => {
    const levels = Array.from(
      { length: 40 },
      (_, level) => `a${level + 1}: &a${level + 1} [*a${level}, *a${level}]`,
    );
    expect(problems(`a0: &a0 [x, x]\n${levels.join('\n')}`)).toEqual([
      '2:10 : aliases are not allowed: write out what *a0 stands for',
    ]);
  });

  test.each([
    '['.repeat(130),
    `${'['.repeat(130)}${']'.repeat(130)}`,
    `${'{a: '.repeat(130)}1${'}'.repeat(130)}`,
    '['.repeat(100_000),
    `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    '- '.repeat(50_000),
  ])('nested without end: %.20s', text => {
    const [problem] = problems(`name: ${text}`);
    expect(problem).toMatch(/keys and lists are nested more than 64 deep$|not YAML: /);
    expect(problem).not.toMatch('call stack');
  });
});
