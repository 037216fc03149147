import { TreeBuilder } from './builder.ts';
import { acsOn, endpoint, intelCpu, moduleFiles, rootPort, system } from './common.ts';

/** As many functions as asked for, in 16 domains: PFs with VFs below root ports, every one with a group. */
export function scaleTree(count = 4096): TreeBuilder {
  const tree = new TreeBuilder();
  system(tree, {
    osRelease: 'ID=debian\nVERSION_ID="12"\n',
    cpuinfo: intelCpu,
    cmdline: 'root=/dev/sda1 intel_iommu=on',
  });
  moduleFiles(tree);
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
  let made = 0;
  for (let domain = 0; made < count; domain++) {
    for (let port = 0; port < 4 && made < count; port++) {
      const bus = port + 1;
      const above = `${hex(domain, 4)}:00:${hex(port + 1, 2)}.0`;
      tree.pci({
        address: above,
        id: '8086:2030',
        class: '060400',
        group: made++,
        driver: 'pcieport',
        bridge: { secondary: bus, subordinate: bus },
        capabilities: rootPort(acsOn),
      });
      const pf = `${hex(domain, 4)}:${hex(bus, 2)}:00.0`;
      for (let fn = 0; fn < 63 && made < count; fn++) {
        const address = `${hex(domain, 4)}:${hex(bus, 2)}:${hex(fn >> 3, 2)}.${fn & 7}`;
        tree.pci({
          address,
          parent: above,
          id: fn === 0 ? '8086:1572' : '8086:154c',
          subsystem: '8086:0004',
          class: '020000',
          group: made++,
          driver: fn === 0 ? 'i40e' : 'iavf',
          ...(fn === 0 ? {} : { physicalFunction: pf }),
          capabilities: endpoint({ kind: 'ari' }, acsOn),
        });
      }
    }
  }
  return tree;
}
