import { expect, test } from 'vitest';
import { readPci } from '../../../src/host/pci/read.ts';
import { isVfioDriver, readVfio } from '../../../src/host/vfio/read.ts';
import { serverTree } from '../trees/server.ts';

test('bound devices, their nodes and the processes that have them open', () => {
  const tree = serverTree();
  const root = tree.root();
  const state = readVfio(root, readPci(root));
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
