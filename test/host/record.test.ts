import fs from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { beforeEach, expect, test } from 'vitest';
import { readEverything, recordHost } from '../../src/host/record.ts';
import { HostReadError, HostRoot } from '../../src/host/root.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { amdTree } from './trees/amd.ts';
import type { TreeBuilder } from './trees/builder.ts';
import { desktopTree } from './trees/desktop.ts';
import { noIommuTree } from './trees/no-iommu.ts';
import { serverTree } from './trees/server.ts';

let directory = '';
beforeEach(() => {
  directory = temporaryFolder();
});

async function record(tree: TreeBuilder): Promise<{ before: unknown; after: unknown; target: string }> {
  const root = tree.root();
  const target = path.join(directory, 'host');
  await recordHost(target, tree.directory);
  const before = await readEverything(root);
  const after = await readEverything(new HostRoot(target));
  tree.remove();
  return { before, after, target };
}

/** Everything below a directory, links not followed: sysfs is full of circles. */
function paths(at: string, below = ''): string[] {
  return fs.readdirSync(path.join(at, below), { withFileTypes: true }).flatMap(entry => {
    const name = path.join(below, entry.name);
    return entry.isDirectory() ? [name, ...paths(at, name)] : [name];
  });
}

test.each([
  ['server', serverTree],
  ['desktop', desktopTree],
  ['AMD host', amdTree],
  ['host without an IOMMU', noIommuTree],
])('a recording of a %s reads the same as the host', async (_, build) => {
  const { before, after } = await record(build());
  expect(after).toEqual(before);
});

test('a recording of this machine reads the same as the machine', async () => {
  const target = path.join(directory, 'host');
  await recordHost(target);
  const live = (await readEverything(new HostRoot('/'))) as Record<string, unknown>;
  const recorded = (await readEverything(new HostRoot(target))) as Record<string, unknown>;
  // Details count interrupts, and the rest of the diagnosis memory: they move on between the two.
  for (const part of ['functions', 'groups', 'sriov', 'nextBoot', 'bootLoader']) {
    expect(recorded[part]).toEqual(live[part]);
  }
});

test('processes that use a device are recorded, without their other open files', async () => {
  const tree = desktopTree();
  const card = `${tree.pathOf('0000:01:00.0')}/drm/card0`;
  tree.file(`${card}/dev`, '226:0\n').file(`${card}/uevent`, 'DEVNAME=dri/card0\n');
  tree
    .file(
      '/etc/passwd',
      'root:x:0:0:root:/root:/bin/sh\nalice:$6$hash:1000:1000:Alice A.:/home/alice:/bin/sh\n',
    )
    .file('/proc/77/comm', 'Xorg\n')
    .file('/proc/77/status', 'Name:\tXorg\nUid:\t1000\t1000\t1000\t1000\nSeccomp:\t2\n')
    .file('/proc/77/stat', '77 (Xorg) S 1 77 77 0\n')
    .file(
      '/proc/77/maps',
      '7f00-7f01 r--p 00000000 08:02 131 /home/alice/secret.pdf\n7f02-7f03 rw-s 0 00:05 9 /dev/dri/card0\n',
    )
    .link('/proc/77/fd/3', '/home/alice/diary.txt')
    .link('/proc/77/fd/4', '/dev/pts/1')
    .link('/proc/77/fd/5', '/dev/dri/card0')
    .file('/proc/78/maps', '7f00-7f01 r--p 00000000 08:02 131 /home/alice/secret.pdf\n');
  const { before, after, target } = await record(tree);
  expect(before).toMatchObject({
    users: expect.arrayContaining([
      ['0000:01:00.0', [expect.objectContaining({ holder: { pid: 77, command: 'Xorg', user: 'alice' } })]],
    ]),
  });
  expect(after).toEqual(before);
  // Names and numbers are all that is kept of users.
  expect(fs.readFileSync(path.join(target, 'etc/passwd'), 'utf8')).toBe('root:x:0::::\nalice:x:1000::::\n');
  const processes = paths(target).filter(name => /^proc\/\d/.test(name));
  expect(processes).toEqual([
    'proc/77',
    'proc/77/comm',
    'proc/77/fd',
    'proc/77/fd/5',
    'proc/77/maps',
    'proc/77/status',
  ]);
  expect(fs.readFileSync(path.join(target, 'proc/77/status'), 'utf8')).not.toContain('Seccomp');
  expect(fs.readFileSync(path.join(target, 'proc/77/maps'), 'utf8')).not.toContain('secret');
});

test('files that no reader uses are not recorded, and neither are secrets', async () => {
  const tree = serverTree();
  tree.files({
    '/etc/shadow': 'root:$6$hash\n',
    '/etc/modprobe.d/wifi.conf': 'options cfg80211 ieee80211_regdom=DE\n',
    '/etc/ssh/ssh_host_ed25519_key': 'PRIVATE',
    '/proc/4211/environ': 'TOKEN=1',
    '/proc/1/comm': 'systemd\n',
    '/proc/cmdline': 'root=/dev/sda1 rd.iscsi.password=hunter2 intel_iommu=on API_TOKEN="a b"\n',
    '/run/udev/data/b259:3': 'E:ID_FS_TYPE=ext4\nE:ID_FS_UUID=1234\nE:ID_SERIAL=secret\n',
    '/proc/net/tcp':
      '  sl  local_address rem_address st\n   0: 0A0200C0:0016 076433C6:C3CA 01 0\n   1: 0A0200C0:01BB 076433C6:C3CB 01 0\n',
  });
  const { target } = await record(tree);
  const all = paths(target).filter(name => fs.lstatSync(path.join(target, name)).isFile());
  const text = (name: string) => fs.readFileSync(path.join(target, name), 'utf8');
  expect(all.filter(name => /shadow|ssh_host|environ|^proc\/1\//.test(name))).toEqual([]);
  expect(text('proc/cmdline')).toBe('root=/dev/sda1 rd.iscsi.password=*** intel_iommu=on API_TOKEN=***\n');
  expect(text('run/udev/data/b259:3')).toBe('E:ID_FS_TYPE=ext4\n');
  expect(text('proc/net/tcp')).not.toContain('01BB');
  expect(all.map(text).join()).not.toMatch(/hunter2|PRIVATE|hash/);
});

test('network configuration is recorded only as far as it creates VFs, without keys and passwords', async () => {
  const tree = serverTree();
  const connections = '/etc/NetworkManager/system-connections';
  tree.files({
    [`${connections}/storage.nmconnection`]:
      '[connection]\nid=storage\ninterface-name=ens1f2\n[sriov]\ntotal-vfs=4\n[802-1x]\npassword=hunter2\n',
    [`${connections}/HomeWifi.nmconnection`]: '[wifi-security]\npsk=hunter2\n',
    '/etc/NetworkManager/conf.d/private_key': '[device]\nwifi.scan-rand-mac-address=no\n',
    '/etc/netplan/50-vfs.yaml':
      'network:\n  ethernets:\n    ens1f1:\n      virtual-function-count: 2\n  wifis:\n    wl0:\n      access-points: {home: {password: hunter2}}\n',
    '/etc/netplan/60-wifi.yaml': 'network: {wifis: {wl0: {access-points: {home: {password: hunter2}}}}}\n',
    '/etc/systemd/system/vf-credentials.service':
      'Environment=TOKEN=hunter2\nExecStart=/bin/sh -c "echo 4 > /sys/bus/pci/devices/0000:3b:00.2/sriov_numvfs"\n',
    '/etc/rc.local': 'curl --user alice:hunter2 https://192.0.2.1/\n',
    '/srv/vfs': 'echo hunter2; echo 4 > /sys/class/net/ens1f0/device/sriov_numvfs\n',
  });
  tree.link('/etc/network/interfaces.d/vfs', '/srv/vfs');
  tree.link('/etc/network/interfaces.d/other', '/etc/rc.local');
  tree.facts.unreadable[`${connections}/locked.nmconnection`] = 'EACCES';
  tree.file(`${connections}/locked.nmconnection`, '');
  const { before, after, target } = await record(tree);
  expect(after).toEqual(before);
  const next = new Map((after as { nextBoot: [string, { problems: string[] }][] }).nextBoot);
  expect(next.get('0000:3b:00.2')?.problems).toEqual([
    expect.stringContaining('vf-credentials.service creates'),
    expect.stringContaining('storage.nmconnection configures them'),
    expect.stringContaining('locked.nmconnection cannot be read'),
  ]);
  const kept = paths(target).filter(name =>
    /^(etc\/(Net|netplan\/|systemd\/system|rc|network\/)|srv)/.test(name),
  );
  const content = Object.fromEntries(
    kept
      .filter(name => fs.statSync(path.join(target, name), { throwIfNoEntry: false })?.isFile())
      .map(name => [name, fs.readFileSync(path.join(target, name), 'utf8')]),
  );
  expect(content).toEqual({
    'etc/NetworkManager/system-connections/locked.nmconnection': '',
    'etc/NetworkManager/system-connections/storage.nmconnection': 'total-vfs=\ninterface-name=ens1f2\n',
    'etc/netplan/50-vfs.yaml': 'virtual-function-count\nens1f1\n',
    'etc/systemd/system/vf-credentials.service': 'sriov_numvfs\n0000:3b:00.2\n',
    'srv/vfs': 'sriov_numvfs\nens1f0\n',
  });
  // Not even the name of a Wi-Fi network.
  expect(kept.join()).not.toMatch(/wifi/i);
});

test('whether an older recording lacks network configuration is kept when it is recorded again', async () => {
  const tree = serverTree();
  tree.facts.networkConfig = false;
  const { before, after } = await record(tree);
  expect(after).toEqual(before);
  const next = new Map((after as { nextBoot: [string, { drift: string; problems: string[] }][] }).nextBoot);
  expect(next.get('0000:3b:00.2')).toMatchObject({
    drift: '4 VFs now, not known after a boot',
    problems: [
      expect.stringMatching(/^not known .*: this recording does not contain it; record the host again$/),
    ],
  });
});

test('a process with a device open is recorded with only that file', async () => {
  const { target } = await record(serverTree());
  expect(fs.readdirSync(path.join(target, 'proc')).filter(name => /^\d/.test(name))).toEqual(['4211']);
  expect(paths(path.join(target, 'proc/4211'))).toEqual(expect.arrayContaining(['comm', 'fd', 'fd/27']));
  expect(paths(path.join(target, 'proc/4211'))).toHaveLength(3);
});

test('files that could not be read while recording stay unreadable', async () => {
  const tree = serverTree();
  tree.facts.unreadable['/proc/4211/fd'] = 'EACCES';
  const { before, after, target } = await record(tree);
  expect(after).toEqual(before);
  expect((after as { vfio: { holdersComplete: boolean } }).vfio.holdersComplete).toBe(false);
  expect(() => new HostRoot(target).list('/proc/4211/fd')).toThrow(HostReadError);
});

test('config space is recorded only up to the last register of a function', async () => {
  const tree = serverTree();
  const { target } = await record(tree);
  const root = new HostRoot(target);
  expect(root.bytes('/sys/bus/pci/devices/0000:3b:00.0/config')!.length).toBeGreaterThan(0x100);
  expect(root.bytes('/sys/bus/pci/devices/0000:00:00.0/config')).toHaveLength(64);
});

test('an archive contains the same tree; an existing target is left alone', async () => {
  const tree = noIommuTree();
  tree.root();
  const archive = path.join(directory, 'host.tar.gz');
  await recordHost(archive, tree.directory);
  const { stdout } = await execa('tar', ['-tzf', archive]);
  expect(stdout).toContain('./.vring/host.json');
  await expect(recordHost(archive, tree.directory)).rejects.toThrow('exists');
  await expect(recordHost(directory, tree.directory)).rejects.toThrow('not empty');
  await expect(recordHost('/dev/null', tree.directory)).rejects.toThrow('/dev/null is not a directory');
  for (const [name, to] of [
    ['loop', 'loop'],
    ['dangling', 'nowhere'],
  ] as const) {
    const link = path.join(directory, name);
    fs.symlinkSync(to, link);
    await expect(recordHost(link, tree.directory)).rejects.toThrow(`${link} is not a directory`);
  }
  tree.remove();
});
