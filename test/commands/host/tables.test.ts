import { afterAll, describe, expect, test } from 'vitest';
import { doctorLines } from '../../../src/commands/host/doctor.ts';
import { groupLines, listGroups } from '../../../src/commands/host/iommu.ts';
import { functionTable, listFunctions } from '../../../src/commands/host/pci-list.ts';
import { functionLines, showPci } from '../../../src/commands/host/pci-show.ts';
import { treeLines } from '../../../src/commands/host/pci-tree.ts';
import { listSriov, sriovLines } from '../../../src/commands/host/sriov-list.ts';
import { tableLines } from '../../../src/commands/host/table.ts';
import { listVfio, vfioLines } from '../../../src/commands/host/vfio-list.ts';
import { readOwners } from '../../../src/commands/host/vm-owners.ts';
import { diagnose } from '../../../src/host/doctor/doctor.ts';
import { type DeviceOwners, deviceOwners } from '../../../src/view/device-owners.ts';
import { amdTree } from '../../host/trees/amd.ts';
import { desktopTree } from '../../host/trees/desktop.ts';
import { noIommuTree } from '../../host/trees/no-iommu.ts';
import { serverTree } from '../../host/trees/server.ts';

const trees = { server: serverTree(), desktop: desktopTree(), amd: amdTree(), noIommu: noIommuTree() };
const server = trees.server.root();
const desktop = trees.desktop.root();
afterAll(() => {
  for (const tree of Object.values(trees)) tree.remove();
});

describe('the VMs that use functions', () => {
  const owners = deviceOwners([
    {
      name: 'web',
      state: 'running',
      hostDevices: [
        { address: '0000:3b:0a.1', device: 'hostdev0', api: 'group', keep: false, before: 'iavf' },
      ],
    },
    {
      name: 'db',
      state: 'off',
      hostDevices: [{ address: '0000:b0:00.0', device: 'hostdev0', api: null, keep: true, before: null }],
    },
  ]);

  test('are in every list, and omitted while there are none', async () => {
    const lists = async (owners?: DeviceOwners) => [
      functionTable(listFunctions(server, owners), 120),
      groupLines(listGroups(server, owners), 120),
      sriovLines(await listSriov(server, owners), 120),
      vfioLines(await listVfio(server, owners), 120),
    ];
    for (const lines of await lists(owners)) {
      expect(lines.join('\n')).toMatch(/\bVM\b/);
      expect(lines.find(line => line.includes('3b:0a.1'))).toMatch(/\bweb\b/);
    }
    for (const lines of await lists()) expect(lines.join('\n')).not.toMatch(/\bVM\b/);
    const [functions] = await lists(owners);
    expect(functions!.find(line => line.startsWith('b0:00.0'))).toContain('db (off)');
  });

  test('are in the details, with what happens to the function', async () => {
    const lines = async (address: string) =>
      functionLines(await showPci(server, address, owners), 120).join('\n');
    expect(await lines('3b:0a.1')).toContain('web has it as hostdev0; it returns to iavf when the VM ends');
    expect(await lines('b0:00.0')).toContain('db takes it as hostdev0 at its next start');
  });

  test('are in the documents', async () => {
    const web = { name: 'web', running: true, device: 'hostdev0', keep: false, before: 'iavf' };
    const of = (list: readonly { readonly address: string; readonly vms: unknown }[]) =>
      list.find(({ address }) => address === '0000:3b:0a.1')?.vms;
    expect(of(listFunctions(server, owners))).toEqual([web]);
    expect(of((await listSriov(server, owners)).flatMap(({ vfs }) => vfs))).toEqual([web]);
    expect(of((await listVfio(server, owners)).functions)).toEqual([web]);
    expect(listGroups(server, owners).groups.find(({ id }) => id === 85)?.vms).toEqual({
      '0000:3b:0a.1': [web],
    });
  });

  test('are not queried for a recording', async () => {
    expect((await readOwners(server)).size).toBe(0);
  });
});

describe('tables at 80 columns', () => {
  test('functions', () => {
    expect(functionTable(listFunctions(server), 80).join('\n')).toMatchInlineSnapshot(`
      "ADDRESS  DRIVER      GROUP  DEVICE                     USE
      00:00.0  -               0  Intel Sky Lake-E DMI3 Re…
      00:1c.0  pcieport        1  Intel Sky Lake-E PCI Exp…
      00:1f.0  -               3  Intel C620 Series Chipse…
      00:1f.4  i801_smbus      3  Intel C620 Series Chipse…
      01:00.0  -               2  ASPEED AST1150 PCI-to-PC…
      02:00.0  ast             2  ASPEED ASPEED Graphics F…  console; card0
      3a:00.0  pcieport       20  Intel Sky Lake-E PCI Exp…
      3b:00.0  i40e           40  Intel Ethernet Controlle…  ens1f0: carries the SSH …
      3b:00.1  i40e           41  Intel Ethernet Controlle…  ens1f1: carries the SSH …
      3b:00.2  i40e           42  Intel Ethernet Controlle…  ens1f2
      3b:00.3  i40e           43  Intel Ethernet Controlle…  ens1f3
      3b:0a.0  vfio-pci       84  Intel Ethernet Virtual F…
      3b:0a.1  iavf           85  Intel Ethernet Virtual F…  ens1f2v1
      3b:0a.2  iavf           86  Intel Ethernet Virtual F…
      3b:0a.3  iavf           87  Intel Ethernet Virtual F…
      ae:00.0  pcieport       60  Intel Sky Lake-E PCI Exp…
      ae:01.0  pcieport       61  Intel Sky Lake-E PCI Exp…
      af:00.0  nvme           62  Samsung NVMe SSD Control…  nvme0n1: mounted on /boot
      b0:00.0  nvme           63  Samsung NVMe SSD Control…  nvme1n1"
    `);
  });

  test('IOMMU groups, with the reasons for sharing', () => {
    expect(groupLines(listGroups(desktop), 80).join('\n')).toMatchInlineSnapshot(`
      "GROUP  TYPE    ADDRESS  DRIVER         DEVICE
          0  DMA-FQ  00:00.0  -              Intel 8th Gen Core Processor Host Bridge…
          1  DMA-FQ  00:01.0  pcieport       Intel 6th-10th Gen Core Processor PCIe C…
                     01:00.0  nouveau        NVIDIA TU104 [GeForce RTX 2080 Rev. A]
                     01:00.1  snd_hda_intel  NVIDIA TU104 HD Audio Controller
                     01:00.2  xhci_hcd       NVIDIA TU104 USB 3.1 Host Controller
                     01:00.3  nvidia-gpu     NVIDIA TU104 USB Type-C UCSI Controller
          2  DMA-FQ  00:02.0  i915           Intel CoffeeLake-S GT2 [UHD Graphics 630]
          4  DMA-FQ  00:17.0  ahci           Intel H370 Chipset LPC/eSPI Controller
          8  DMA-FQ  00:1f.0  -              Intel H370 Chipset LPC/eSPI Controller
                     00:1f.6  e1000e         Intel 82576 Gigabit Network Connection

      group 1: root port 0000:00:01.0 has no ACS: devices below it can reach each
        other without the IOMMU
      group 1: the functions of device 0000:01:00 have no ACS: they can reach each
        other inside the device
      group 8: the functions of chipset device 0000:00:1f have no ACS: they can
        reach each other inside the device"
    `);
  });

  test('virtual functions', async () => {
    expect(sriovLines(await listSriov(server), 80).join('\n')).toMatchInlineSnapshot(`
      "ADDRESS    VFS   DRIVER    GROUP  INTERFACE  MAC                VLAN  TRUST
      3b:00.0    0/32  i40e             ens1f0
      3b:00.1    0/32  i40e             ens1f1
      3b:00.2    4/32  i40e             ens1f2
        3b:0a.0  vf 0  vfio-pci     84             02:00:00:00:00:00    42  off
        3b:0a.1  vf 1  iavf         85  ens1f2v1   02:00:00:00:00:01        off
        3b:0a.2  vf 2  iavf         86             02:00:00:00:00:02        off
        3b:0a.3  vf 3  iavf         87             02:00:00:00:00:03        off
      3b:00.3    0/32  i40e             ens1f3"
    `);
  });

  test('devices bound to VFIO drivers, and their users', async () => {
    expect(vfioLines(await listVfio(server), 80).join('\n')).toMatchInlineSnapshot(`
      "modules: vfio, vfio_pci, vfio_pci_core (available), vfio_iommu_type1, iommufd
        (absent), pci_stub (available)
      nodes: /dev/vfio/vfio

      ADDRESS  NOW       NEXT BOOT  NODE          OPEN IN            DEVICE
      3b:0a.0  vfio-pci  gone       /dev/vfio/84  qemu-system-x86 …  Intel Ethernet V…"
    `);
  });

  test('one function', async () => {
    expect(functionLines(await showPci(server, '3b:00.2'), 80).join('\n')).toMatchInlineSnapshot(`
      "0000:3b:00.2 Intel Corporation Ethernet Controller X710 for 10GbE SFP+
        class         Ethernet controller [020000], revision 01
        ids           8086:1572, subsystem 8086:0004 (Ethernet Converged Network
                      Adapter X710-4)
        driver        i40e; modules: i40e
        use           ens1f2
        next boot     4 VFs now, 0 after a boot
        group         42
        numa node     0
        sr-iov        VFs: 0000:3b:0a.0, 0000:3b:0a.1, 0000:3b:0a.2, 0000:3b:0a.3
        link          8 GT/s x8, at most 8 GT/s x8
        power         D0
        reset         flr, pm, bus
        regions       bar 0: memory 64 bits prefetchable, 16M at 0x3802000000
        capabilities  Power Management: D0, no soft reset
                      MSI-X: off, 64 vectors, table in bar 3
                      PCI Express: endpoint, FLR, payload 128 of 256, ASPM off
                      Device Serial Number: a8-b1-c2-ff-ff-fe-fd-3c
                      ARI
                      ATS: off
                      SR-IOV: on, 4 of 32 VFs, offset 78, stride 1
                      ACS: SV+ RR+ CR+ UF+"
    `);
  });

  test('the tree', () => {
    expect(treeLines(listFunctions(desktop), 80).join('\n')).toMatchInlineSnapshot(`
      "bus 00
      |- 00:00.0 - group 0  Intel 8th Gen Core Processor Host Bridge/DRAM Registers
      |- 00:01.0 pcieport group 1 -> bus 01  Intel 6th-10th Gen Core Processor PCIe C…
      |  |- 01:00.0 nouveau group 1  NVIDIA TU104 [GeForce RTX 2080 Rev. A]
      |  |- 01:00.1 snd_hda_intel group 1  NVIDIA TU104 HD Audio Controller
      |  |- 01:00.2 xhci_hcd group 1  NVIDIA TU104 USB 3.1 Host Controller
      |  \`- 01:00.3 nvidia-gpu group 1  NVIDIA TU104 USB Type-C UCSI Controller
      |- 00:02.0 i915 group 2  Intel CoffeeLake-S GT2 [UHD Graphics 630]
      |- 00:17.0 ahci group 4  Intel H370 Chipset LPC/eSPI Controller
      |- 00:1f.0 - group 8  Intel H370 Chipset LPC/eSPI Controller
      \`- 00:1f.6 e1000e group 8  Intel 82576 Gigabit Network Connection"
    `);
  });

  test('the diagnosis', () => {
    const lines = doctorLines(diagnose(trees.noIommu.root()), 80);
    expect(lines.slice(0, 20).join('\n')).toMatchInlineSnapshot(`
      "host: CentOS 6.10 (Final)

      processor
        ok   Intel VT-x on Intel(R) Xeon(R) CPU E5430
        warn the CPU has no EPT
             (without it, every guest page-table update exits to the hypervisor)

      kvm
        FAIL /dev/kvm does not exist
             (vring runs VMs on KVM)
             > boot a kernel with CONFIG_KVM and kvm_intel

      iommu
        FAIL the firmware describes no IOMMU
             (the kernel finds the IOMMU through firmware tables)
             > enable VT-d in the firmware setup; without that option this host cannot
               pass devices through
        FAIL the IOMMU is off
             (without it, a passed-through device could write to all host memory)
             > fix iommu.firmware first"
    `);
  });

  test('no output line exceeds 80 columns', async () => {
    for (const tree of Object.values(trees)) {
      const root = tree.root();
      const functions = listFunctions(root);
      const outputs = [
        functionTable(functions, 80),
        groupLines(listGroups(root), 80),
        sriovLines(await listSriov(root), 80),
        treeLines(functions, 80),
        vfioLines(await listVfio(root), 80),
        doctorLines(diagnose(root), 80),
        ...(await Promise.all(functions.map(async fn => functionLines(await showPci(root, fn.address), 80)))),
      ];
      expect(outputs.flat().filter(line => line.length > 80)).toEqual([]);
    }
  });
});

test('a wider terminal shows more columns', () => {
  const heading = (cells: number) => functionTable(listFunctions(server), cells)[0];
  expect(heading(80)).not.toMatch(/IDS/);
  expect(heading(180)).toMatch(/IDS.*CLASS.*NUMA.*NEXT BOOT/);
});

test('a table drops low-priority columns, then truncates the longest texts', () => {
  const rows = [{ a: 'first', b: 'a long text that may be cut', c: 'more' }];
  const columns = [
    { title: 'A', text: (row: (typeof rows)[0]) => row.a },
    { title: 'B', text: (row: (typeof rows)[0]) => row.b, least: 8 },
    { title: 'C', text: (row: (typeof rows)[0]) => row.c, rank: 1 },
  ];
  expect(tableLines(rows, columns, 80)[1]).toBe('first  a long text that may be cut  more');
  expect(tableLines(rows, columns, 24)[1]).toBe('first  a long tex…  more');
  expect(tableLines(rows, columns, 16)[1]).toBe('first  a long t…');
});

test('an ambiguous or unknown address is a failure, an invalid one a usage error', async () => {
  await expect(showPci(server, '7f:00.0')).rejects.toThrow('no PCI function 7f:00.0 on this host');
  await expect(showPci(server, 'eth0')).rejects.toMatchObject({ name: 'UsageError' });
});
