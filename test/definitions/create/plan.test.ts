import { describe, expect, test } from 'vitest';
import { type CloudNetwork, type CloudUser, hostnameOf } from '../../../src/definitions/create/cloud-seed.ts';
import type { ImageInfo } from '../../../src/definitions/create/image-info.ts';
import { newVmOf } from '../../../src/definitions/create/new-vm.ts';
import { cloudNetwork, parseNewDisk } from '../../../src/definitions/create/option-values.ts';
import { describeStep, disksFolder, type NewVm, planNewVm } from '../../../src/definitions/create/plan.ts';
import { readDefinition } from '../../../src/definitions/read.ts';

const GiB = 2 ** 30;
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 ada@home';
const iso: ImageInfo = { file: '/iso/debian.iso', format: 'iso', size: GiB, needsOthers: false };
const qcow2: ImageInfo = { file: '/img/debian.qcow2', format: 'qcow2', size: 3 * GiB, needsOthers: false };
const user: CloudUser = { name: 'ada', sshKeys: [KEY] };
const dhcp: CloudNetwork = { kind: 'dhcp' };

const plan = (vm: Partial<NewVm> & Pick<NewVm, 'source'>) =>
  planNewVm({ name: 'web', diskSize: 20 * GiB, ...vm }, '/disks', 'i-1');

test('disks are in the state folder', () =>
  expect(disksFolder('/var/lib/vring')).toBe('/var/lib/vring/disks'));

test('from an installer', () => {
  const { text, steps, notYet, definition } = plan({
    source: { kind: 'installer', image: iso },
    more: { memory: '2G', cpus: 2, nics: [{}], machine: { firmware: 'uefi' } },
  });
  expect(text).toBe(`name: web
memory: 2G
cpus: 2
machine:
  firmware: uefi
disks:
  - file: /disks/web.img
    format: raw
  - file: /iso/debian.iso
    cdrom: true
nics:
  - network: user
boot:
  order:
    - disk
    - cdrom
`);
  expect(readDefinition(text, { file: 'web.yaml', name: 'web' })).toEqual(definition);
  expect(steps).toEqual([{ kind: 'disk', file: '/disks/web.img', size: 20 * GiB }]);
  expect(steps.map(describeStep)).toEqual([
    'create the disk /disks/web.img, 20G (sparse: it takes space as the guest writes)',
  ]);
  expect(notYet).toEqual([]);
});

test('from a cloud image', () => {
  const { definition, steps } = plan({ source: { kind: 'cloud', image: qcow2, user, network: dhcp } });
  const mac = definition.nics[0]!.mac!;
  expect(definition.disks).toMatchObject([
    { file: '/disks/web.img', bus: 'virtio', format: 'raw', readonly: false },
    { file: '/disks/web-seed.iso', format: 'raw', readonly: true },
  ]);
  expect(steps).toEqual([
    { kind: 'fill', file: '/disks/web.img', size: 20 * GiB, from: qcow2 },
    {
      kind: 'seed',
      file: '/disks/web-seed.iso',
      files: {
        'meta-data': 'instance-id: "i-1"\nlocal-hostname: "web"\n',
        'user-data': `#cloud-config
users:
  - name: "ada"
    shell: "/bin/bash"
    sudo: "ALL=(ALL) NOPASSWD:ALL"
    lock_passwd: true
    ssh_authorized_keys:
      - "${KEY}"
ssh_pwauth: false
`,
        'network-config': `version: 2
ethernets:
  nic0:
    match:
      macaddress: "${mac}"
    dhcp4: true
`,
      },
    },
  ]);
  expect(steps.map(describeStep)).toEqual([
    'create the disk /disks/web.img, 20G, from /img/debian.qcow2',
    'create /disks/web-seed.iso with the user and the network, for cloud-init',
  ]);
});

test('with a static address, a password, and the requested card', () => {
  const network: CloudNetwork = {
    kind: 'static',
    address: '192.0.2.10/24',
    gateway: '192.0.2.1',
    nameservers: ['192.0.2.53', '2001:db8::53'],
  };
  const { definition, steps } = plan({
    source: {
      kind: 'cloud',
      image: qcow2,
      user: { name: 'ada', sshKeys: [], passwordHash: '$6$salt$hash' },
      network,
    },
    diskSize: null,
    more: { nics: [{ model: 'e1000', mac: '52:54:00:00:00:09', network: 'tap' }] },
  });
  expect(definition.nics).toMatchObject([
    { model: 'e1000', mac: '52:54:00:00:00:09', network: { type: 'tap' } },
  ]);
  expect(steps[0]).toMatchObject({ size: 3 * GiB });
  const { files } = steps[1] as Extract<(typeof steps)[number], { kind: 'seed' }>;
  expect(files['user-data']).toContain('lock_passwd: false\n    passwd: "$6$salt$hash"\nssh_pwauth: true\n');
  expect(files['network-config']).toBe(`version: 2
ethernets:
  nic0:
    match:
      macaddress: "52:54:00:00:00:09"
    addresses:
      - "192.0.2.10/24"
    routes:
      - to: "0.0.0.0/0"
        via: "192.0.2.1"
    nameservers:
      addresses:
        - "192.0.2.53"
        - "2001:db8::53"
`);
});

test('with its own host name, and without a network card', () => {
  const { definition, steps } = plan({
    source: { kind: 'cloud', image: qcow2, hostname: 'db.example.org', user, network: dhcp },
    more: { nics: [] },
  });
  expect(definition.nics).toEqual([]);
  const { files } = steps[1] as Extract<(typeof steps)[number], { kind: 'seed' }>;
  expect(Object.keys(files)).toEqual(['meta-data', 'user-data']);
  expect(files['meta-data']).toContain('local-hostname: "db.example.org"\n');
});

test.each([
  ['--gateway', () => cloudNetwork(undefined, '192.0.2.1', [])],
  ['--dns', () => cloudNetwork(undefined, undefined, ['192.0.2.53'])],
])('%s without an address is rejected, because DHCP provides it', (option, read) =>
  expect(read).toThrow(`${option} is only valid with --address`),
);

test.each([
  ['my_web-1', 'my-web-1'],
  ['db.example.org', 'db.example.org'],
  ['a_.-b..c-', 'a.b.c'],
])('VM %s is the host %s', (vm, host) => expect(hostnameOf(vm)).toBe(host));

test('from a kernel', () => {
  const source = { kind: 'kernel', kernel: '/vmlinuz', initrd: '/initrd', append: 'console=ttyS0' } as const;
  const withDisk = plan({ source });
  expect(withDisk.notYet).toEqual([]);
  expect(withDisk.definition.disks).toMatchObject([{ file: '/disks/web.img' }]);
  const without = plan({ source: { kind: 'kernel', kernel: '/vmlinuz' }, diskSize: null });
  expect(without.text).toBe('name: web\nmemory: 256M\ncpus: 1\nmachine:\n  kernel: /vmlinuz\n');
  expect(without.steps).toEqual([]);
  const vm = newVmOf('web', { kernel: '/vmlinuz', firmware: 'uefi' });
  expect(planNewVm(vm, '/disks', 'i-1').text).toContain('machine:\n  firmware: uefi\n  kernel: /vmlinuz\n');
  const file = import.meta.filename;
  const withFile = planNewVm(newVmOf('web', { kernel: '/vmlinuz', firmware: file }), '/disks', 'i-1').text;
  expect(withFile).toContain(`machine:\n  firmware: bios\n  firmware-file: ${file}\n`);
  expect(() => newVmOf('web', { kernel: '/vmlinuz', firmware: 'no' })).toThrow(
    '--firmware no: there is no such file: name bios, uefi or a file',
  );
});

describe('invalid requests', () => {
  const cloud = (more: { user?: Partial<CloudUser>; network?: CloudNetwork; image?: ImageInfo }) =>
    ({
      source: {
        kind: 'cloud',
        image: more.image ?? qcow2,
        user: { ...user, ...more.user },
        network: more.network ?? dhcp,
      },
    }) as const;
  test.each([
    [{ name: '../x', source: { kind: 'installer', image: iso } }, '"../x" cannot be the name of a VM'],
    [
      { source: { kind: 'installer', image: qcow2 } },
      '/img/debian.qcow2 is not a CD image: name the .iso file of the installer',
    ],
    [
      { source: { kind: 'installer', image: iso }, diskSize: null },
      'an installer needs a disk to install to: give a size, such as 20G',
    ],
    [
      { source: { kind: 'installer', image: iso }, diskSize: 1000 },
      'expected a disk size of at least 1M and a multiple of 512 bytes',
    ],
    [{ source: { kind: 'kernel', kernel: 'vmlinuz' } }, 'machine.kernel: expected an absolute path'],
    [
      { source: { kind: 'installer', image: iso }, more: { cpus: 0 } },
      'cpus: expected at least 1 vCPU, not 0',
    ],
    [cloud({ image: iso }), '/iso/debian.iso is a CD image: create the VM from an installer'],
    [cloud({ image: { ...qcow2, needsOthers: true } }), 'is only part of a disk'],
    [
      { ...cloud({}), diskSize: GiB },
      '/img/debian.qcow2 holds a disk of 3G: expected a disk size of at least that, not 1G',
    ],
    [
      { source: { ...cloud({}).source, hostname: 'my_web' } },
      'expected a host name of letters, digits and "-", with its domain after a ".", not "my_web"',
    ],
    [
      {
        ...cloud({ network: { kind: 'static', address: '192.0.2.10/24', nameservers: [] } }),
        more: { nics: [] },
      },
      '192.0.2.10/24 would be the address of no network card: give the VM one',
    ],
    [
      cloud({ user: { name: 'Ada L' } }),
      'expected a user name of lower-case letters, digits, "_" and "-", not "Ada L"',
    ],
    [cloud({ user: { sshKeys: ['-----BEGIN OPENSSH PRIVATE KEY-----'] } }), 'never the private one'],
    [cloud({ user: { sshKeys: [`${KEY}\nruncmd: [reboot]`] } }), 'expected an SSH public key'],
    // Line breaks for Python, with which cloud-init writes the keys.
    ...['\u0085', '\u2028', '\v', '\f', '\u001d'].map(breaks => [
      cloud({ user: { sshKeys: [`${KEY}${breaks}${KEY}`] } }),
      'expected an SSH public key',
    ]),
    [
      cloud({ user: { passwordHash: 'secret' } }),
      'expected a password hash, as `openssl passwd -6` prints it',
    ],
    [cloud({ user: { sshKeys: [] } }), 'nobody could log in: give ada an SSH public key or a password hash'],
    [
      cloud({ network: { kind: 'static', address: '192.0.2.10', nameservers: [] } }),
      'expected an address with its prefix',
    ],
    [
      cloud({ network: { kind: 'static', address: '192.0.2.10/33', nameservers: [] } }),
      'expected an address with its prefix',
    ],
    [
      cloud({ network: { kind: 'static', address: '192.0.2.10/24', gateway: 'gw', nameservers: [] } }),
      'expected an IP address, such as 192.0.2.1, not "gw"',
    ],
  ] as [Partial<NewVm> & Pick<NewVm, 'source'>, string][])('%#', (vm, message) =>
    expect(() => plan(vm)).toThrow(message),
  );
});

test('a qcow2 disk is new, or an overlay of the cloud image', () => {
  const disk = (source: NewVm['source'], diskSize: number | null) => {
    const plan = planNewVm({ name: 'web', source, diskSize, diskFormat: 'qcow2' }, '/disks', 'id');
    expect(plan.definition.disks[0]).toMatchObject({ file: '/disks/web.qcow2', format: 'qcow2' });
    return plan.steps[0];
  };
  expect(disk({ kind: 'kernel', kernel: '/k' }, GiB)).toEqual({
    ...{ kind: 'qcow2', file: '/disks/web.qcow2', size: GiB },
    backing: null,
  });
  const image = { file: '/debian.qcow2', format: 'qcow2', size: GiB, needsOthers: false } as const;
  const user = { name: 'ada', sshKeys: ['ssh-ed25519 AAAA'] };
  const overlay = disk({ kind: 'cloud', image, user, network: { kind: 'dhcp' } }, 2 * GiB);
  expect(overlay).toMatchObject({ kind: 'qcow2', size: 2 * GiB, backing: image });
  expect(describeStep(overlay!)).toBe(
    'create the qcow2 disk /disks/web.qcow2, 2G, over /debian.qcow2, which must stay as it is',
  );
});

test('--disk has a size and a format', () => {
  expect(parseNewDisk('size=20G,format=qcow2')).toEqual({ size: 20 * GiB, format: 'qcow2' });
  expect(parseNewDisk('size=512M')).toEqual({ size: GiB / 2 });
  expect(() => parseNewDisk('format=vdi')).toThrow('--disk format=vdi: format takes raw or qcow2');
  expect(() => parseNewDisk('20G')).toThrow('--disk 20G: expected size=20G,format=raw|qcow2');
  expect(() => parseNewDisk('size=x')).toThrow('expected a size such as 512M or 2G');
});
