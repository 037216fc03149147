import { afterEach, beforeEach, expect, test } from 'vitest';
import { desiredPath, formatDesired } from '../../../src/host/boot/desired.ts';
import { identify } from '../../../src/host/boot/identity.ts';
import { readNextBoot } from '../../../src/host/boot/next-boot.ts';
import { readPci } from '../../../src/host/pci/read.ts';
import { release, type TreeBuilder } from '../trees/builder.ts';
import { serverTree } from '../trees/server.ts';

let tree: TreeBuilder;
beforeEach(() => {
  tree = serverTree();
});
afterEach(() => tree.remove());

function next(address: string) {
  const root = tree.root();
  return readNextBoot(root, readPci(root)).get(address);
}

test('what nobody configured and a boot would undo is drift', () => {
  expect(next('0000:3b:00.2')?.drift).toBe('4 VFs now, 0 after a boot');
  expect(next('0000:3b:0a.0')?.drift).toBe('vfio-pci now, gone after a boot');
  expect(next('0000:3b:00.0')).toBeUndefined();
});

test('ids of modprobe.d count for every device that has them, and need an order', () => {
  tree.file('/etc/modprobe.d/vfio.conf', 'options vfio-pci \\\n  ids=8086:1572,144d:a808:144d:a801\n');
  expect(next('0000:3b:00.0')).toMatchObject({
    driver: 'vfio-pci',
    sources: ['/etc/modprobe.d/vfio.conf'],
    problems: ['nothing makes vfio-pci load before i40e: the first one gets the device'],
    drift: 'i40e now, vfio-pci after a boot',
  });
  expect(next('0000:b0:00.0')?.driver).toBe('vfio-pci');
  tree.file('/etc/modprobe.d/order.conf', 'softdep i40e pre: vfio-pci\n');
  expect(next('0000:3b:00.0')?.problems).toEqual([]);
});

test('a file in /etc hides the one of the same name in /usr/lib', () => {
  tree.file('/usr/lib/modprobe.d/vfio.conf', 'options vfio-pci ids=8086:1572\n');
  tree.file('/etc/modprobe.d/vfio.conf', '# nothing\n');
  expect(next('0000:3b:00.0')).toBeUndefined();
});

test('a built-in host driver is faster than any module', () => {
  tree.file('/etc/modprobe.d/vfio.conf', 'options vfio-pci ids=144d:a808\nsoftdep nvme pre: vfio-pci\n');
  tree.file(`/usr/lib/modules/${release}/modules.builtin`, 'kernel/drivers/nvme/host/nvme.ko\n');
  expect(next('0000:b0:00.0')?.problems).toEqual([
    'nvme is built into this kernel and takes the device before vfio-pci can be loaded',
  ]);
});

test('driverctl and udev rules count by address; a rule for another card does not', () => {
  tree.file('/etc/driverctl.d/0000:3b:00.3', 'vfio-pci\n');
  tree.file(
    '/etc/udev/rules.d/40-x.rules',
    'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="0000:3b:00.0", ATTR{vendor}=="0x15b3", ATTR{device}=="0x1017", ATTR{driver_override}="vfio-pci"\n' +
      'ACTION=="bind", KERNEL=="0000:3b:00.2", ATTR{sriov_numvfs}="4"\n',
  );
  expect(next('0000:3b:00.3')?.driver).toBe('vfio-pci');
  expect(next('0000:3b:00.0')).toMatchObject({
    driver: null,
    drift: null,
    problems: [expect.stringContaining('15b3')],
  });
  expect(next('0000:3b:00.2')).toMatchObject({ vfs: 4, drift: null });
});

test('a stored device that is another one now is left alone, and both are shown', () => {
  const root = tree.root();
  const fn = readPci(root).find(each => each.address === '0000:3b:00.0')!;
  const stored = identify(root, fn);
  expect(stored).toMatchObject({ serial: 'a8-b1-c2-ff-ff-fe-fd-3c', mac: '3c:fd:fe:c2:b1:a8' });
  const identity = { ...stored, serial: '00-00-00-ff-ff-00-00-01' };
  const devices = { '0000:3b:00.0': { driver: 'vfio-pci', identity } };
  tree.file(desiredPath, formatDesired({ version: 1, devices, sriov: {} }));
  const result = next('0000:3b:00.0');
  expect(result?.driver).toBeNull();
  expect(result?.problems[0]).toContain('serial 00-00-00-ff-ff-00-00-01');
  expect(result?.problems[0]).toContain('serial a8-b1-c2-ff-ff-fe-fd-3c');
});

test('a stored VF is found by its index', () => {
  const root = tree.root();
  const fn = readPci(root).find(each => each.address === '0000:3b:00.2')!;
  const sriov = {
    '0000:3b:00.2': { identity: identify(root, fn), count: 4, vfs: { 0: { driver: 'vfio-pci' } } },
  };
  tree.file(desiredPath, formatDesired({ version: 1, devices: {}, sriov }));
  expect(next('0000:3b:0a.0')).toMatchObject({ driver: 'vfio-pci', drift: null });
  expect(next('0000:3b:00.2')).toMatchObject({ vfs: 4, drift: null });
});

test('a VF that will be there, but not for a guest', () => {
  tree.file(
    '/etc/udev/rules.d/40-vfs.rules',
    'ACTION=="bind", KERNEL=="0000:3b:00.2", ATTR{sriov_numvfs}="1"\n',
  );
  expect(next('0000:3b:0a.0')?.drift).toBe("vfio-pci now, the host's driver after a boot");
  expect(next('0000:3b:00.2')?.drift).toBe('4 VFs now, 1 after a boot');
});

test('a broken file of ours is an error, not an empty desired state', () => {
  tree.file(desiredPath, '{"version":2}');
  expect(() => next('0000:3b:00.0')).toThrow('/etc/vring/host.json is not valid');
});
