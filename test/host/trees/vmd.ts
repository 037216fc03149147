import { TreeBuilder } from './builder.ts';
import { acsOn, endpoint, intelCpu, moduleFiles, rootPort, system } from './common.ts';

/** Below a VMD controller (domain 10000) three bridges deep: a disk with a long name, and a card with VFs. */
export function vmdTree(): TreeBuilder {
  const tree = new TreeBuilder();
  system(tree, {
    osRelease: 'ID=debian\nVERSION_ID="12"\n',
    cpuinfo: intelCpu,
    cmdline: 'root=/dev/sda1 intel_iommu=on',
  });
  moduleFiles(tree);
  tree.pci({ address: '0000:00:00.0', id: '8086:2020', class: '060000', group: 0 });
  tree.pci({ address: '0000:5d:05.5', id: '8086:201d', class: '010400', group: 7, driver: 'vmd' });
  let parent: string | undefined;
  for (let bus = 0xe0; bus < 0xe3; bus++) {
    const address = `10000:${bus.toString(16)}:02.0`;
    tree.pci({
      address,
      ...(parent !== undefined && { parent }),
      id: '8086:2030',
      class: '060400',
      group: 7,
      driver: 'pcieport',
      bridge: { secondary: bus + 1, subordinate: 0xe4 },
      capabilities: rootPort(acsOn),
    });
    parent = address;
  }
  tree.pci({
    address: '10000:e3:00.0',
    parent: parent!,
    id: '144d:a808',
    class: '010802',
    group: 7,
    driver: 'nvme',
    capabilities: endpoint(acsOn),
  });
  const physicalFunction = '10000:e3:01.0';
  for (let fn = 0; fn < 3; fn++) {
    tree.pci({
      address: `10000:e3:01.${fn}`,
      parent: parent!,
      id: fn === 0 ? '8086:1572' : '8086:154c',
      class: '020000',
      group: 7,
      driver: fn === 0 ? 'i40e' : 'mlx5_vfio_pci',
      ...(fn === 0 ? { attributes: { sriov_totalvfs: '2', sriov_numvfs: '2' } } : { physicalFunction }),
      capabilities: endpoint(acsOn),
    });
  }
  return tree;
}
