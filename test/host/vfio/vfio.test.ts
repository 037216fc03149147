import { expect, test } from 'vitest';
import { readPci } from '../../../src/host/pci/read.ts';
import { currentBootId } from '../../../src/host/process-identity.ts';
import { holderText } from '../../../src/host/use/holders.ts';
import { readOpenFiles } from '../../../src/host/use/open-files.ts';
import { isVfioDriver, readVfio } from '../../../src/host/vfio/read.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { serverTree } from '../trees/server.ts';

test('bound devices, their nodes and the processes that have them open', async () => {
  const tree = serverTree();
  const root = tree.root();
  const state = readVfio(await readOpenFiles(root), readPci(root));
  tree.remove();
  expect(state.devices).toMatchObject([
    {
      address: '0000:3b:0a.0',
      driver: 'vfio-pci',
      iommuGroup: 84,
      groupNode: { path: '/dev/vfio/84' },
      deviceNode: null,
      holders: [{ pid: 4211, command: 'qemu-system-x86' }],
    },
  ]);
  expect(state.container?.path).toBe('/dev/vfio/vfio');
  expect(Object.fromEntries(state.modules.map(module => [module.name, module.state]))).toEqual({
    vfio: 'loaded',
    vfio_pci: 'loaded',
    vfio_pci_core: 'available',
    vfio_iommu_type1: 'loaded',
    iommufd: 'absent',
    pci_stub: 'available',
  });
});

test('variant drivers are VFIO drivers', () => {
  expect(['vfio-pci', 'mlx5_vfio_pci', 'nvgrace-gpu-vfio-pci'].every(isVfioDriver)).toBe(true);
  expect(['igb', 'pci-stub', 'vfio', null].some(isVfioDriver)).toBe(false);
});

test('a process of vring that has one open is named by its VM', async () => {
  const tree = serverTree();
  tree
    .removePath('/proc/4211')
    .file('/proc/4300/comm', 'vring: database\n')
    .file('/proc/4300/cmdline', 'vring: database-of-the-shop\0\0\0')
    .link('/proc/4300/fd/31', '/dev/vfio/84');
  const root = tree.root();
  const [device] = readVfio(await readOpenFiles(root), readPci(root)).devices;
  tree.remove();
  expect(device!.holders).toMatchObject([{ pid: 4300, vm: 'database-of-the-shop' }]);
  expect(holderText(device!.holders[0]!)).toBe('VM database-of-the-shop (pid 4300)');
});

test('a process that runs VMs on its threads is named by the record of the device', async () => {
  const state = temporaryFolder();
  const tree = serverTree();
  tree.file('/proc/4211/comm', 'vring run\n');
  const before = process.env.VRING_STATE_DIR;
  process.env.VRING_STATE_DIR = state;
  try {
    const name = `${state}/taken-devices/0000:3b:0a.0.json`;
    const record = {
      ...{ version: 1, address: '0000:3b:0a.0', id: '8086:154c', group: 84, bootId: currentBootId() },
      ...{ vm: 'web', device: 'hostdev0', api: 'group', keep: false, driver: 'vfio-pci', vf: null },
      before: { driver: 'iavf', override: '' },
    };
    tree.file(name, JSON.stringify(record));
    const root = tree.root();
    expect(readVfio(await readOpenFiles(root), readPci(root)).devices[0]!.holders).toMatchObject([
      { pid: 4211, vm: 'web' },
    ]);
  } finally {
    tree.remove();
    if (before === undefined) delete process.env.VRING_STATE_DIR;
    else process.env.VRING_STATE_DIR = before;
  }
});
