import { release, type TreeBuilder } from './builder.ts';
import type { CapabilitySpec } from './config-bytes.ts';

/** ACS with all four controls that groups need, on. */
export const acsOn: CapabilitySpec = { kind: 'acs', capability: 0x1d, control: 0x1d };
export const memory64 = 0x14220c;
export const memory32 = 0x40200;

export function endpoint(...more: CapabilitySpec[]): CapabilitySpec[] {
  return [
    { kind: 'pm' },
    { kind: 'msix', vectors: 64, bar: 3 },
    { kind: 'pcie', type: 0, flr: true, link: [3, 8, 3, 8] },
    ...more,
  ];
}

export function rootPort(...more: CapabilitySpec[]): CapabilitySpec[] {
  return [{ kind: 'pcie', type: 4, link: [3, 16, 3, 8] }, { kind: 'msi', vectorsPower: 0 }, ...more];
}

/** The part of the host that is no PCI: processor, kernel options, distribution. */
export function system(
  tree: TreeBuilder,
  options: {
    osRelease: string;
    cpuinfo: string;
    cmdline: string;
    kernelOptions?: Readonly<Record<string, string>>;
  },
): void {
  const config = { ...defaultOptions, ...options.kernelOptions };
  tree.files({
    '/etc/os-release': options.osRelease,
    '/proc/cpuinfo': options.cpuinfo,
    '/proc/cmdline': `${options.cmdline}\n`,
    [`/boot/config-${release}`]: Object.entries(config)
      .map(([name, value]) => (value === 'n' ? `# CONFIG_${name} is not set\n` : `CONFIG_${name}=${value}\n`))
      .join(''),
    '/proc/meminfo':
      'MemTotal:       65536000 kB\nMemFree:        40000000 kB\nMemAvailable:   60000000 kB\n' +
      'SwapTotal:       8000000 kB\nSwapFree:        7000000 kB\n',
    '/proc/stat':
      'cpu  4000 0 2000 90000 4000 0 0 0 1000 0\ncpu0 3000 0 1000 45000 1000 0 0 0 1000 0\n' +
      'cpu1 1000 0 1000 45000 3000 0 0 0 0 0\nintr 100 1 2 3\nbtime 1767000000\n',
    '/proc/loadavg': '0.51 0.44 0.40 2/431 9876\n',
    '/proc/uptime': '1051200.51 2000000.00\n',
    '/proc/pressure/cpu': pressure(1_500_000, 0),
    '/proc/pressure/memory': pressure(250_000, 100_000),
    '/proc/pressure/io': pressure(9_000_000, 8_000_000),
    '/proc/self/limits':
      'Limit                     Soft Limit           Hard Limit           Units     \n' +
      'Max locked memory         8388608              8388608              bytes     \n',
    '/proc/self/status': 'Name:\tvring\nPPid:\t1\nUid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n',
    '/proc/sys/vm/overcommit_memory': '0\n',
    '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': '0\n',
    '/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages': '0\n',
    '/sys/kernel/mm/ksm/run': '0\n',
    '/sys/devices/system/node/node0/cpulist': '0-15\n',
  });
}

/** What /proc/pressure says. @param some microseconds in which some tasks waited; @param full and in which all did */
export function pressure(some: number, full: number): string {
  const line = (tasks: string, total: number) =>
    `${tasks} avg10=0.00 avg60=0.00 avg300=0.00 total=${total}\n`;
  return line('some', some) + line('full', full);
}

const defaultOptions: Readonly<Record<string, string>> = {
  IOMMU_SUPPORT: 'y',
  INTEL_IOMMU: 'y',
  AMD_IOMMU: 'y',
  IRQ_REMAP: 'y',
  PCI_STUB: 'm',
  VFIO: 'm',
  VFIO_PCI: 'm',
  VFIO_IOMMU_TYPE1: 'm',
  VFIO_NOIOMMU: 'n',
  IOMMUFD: 'm',
  VHOST_NET: 'm',
  TUN: 'm',
  KSM: 'y',
  HUGETLBFS: 'y',
};

/** What modules.dep and modules.builtin say of the modules that matter here. */
export function moduleFiles(tree: TreeBuilder, builtIn: readonly string[] = []): void {
  const names = ['vfio', 'vfio-pci', 'vfio-pci-core', 'vfio_iommu_type1', 'pci-stub', 'igb', 'i40e', 'nvme'];
  tree.file(
    `/usr/lib/modules/${release}/modules.dep`,
    names.map(name => `kernel/drivers/${name}.ko.xz:\n`).join(''),
  );
  tree.file(
    `/usr/lib/modules/${release}/modules.builtin`,
    builtIn.map(name => `kernel/drivers/${name}.ko\n`).join(''),
  );
}

export const intelCpu =
  'processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz\n' +
  'flags\t\t: fpu vme msr pae cx8 apic sep vmx ept vpid ept_ad x2apic\n\n';
export const amdCpu =
  'processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD Ryzen 9 3900X 12-Core Processor\n' +
  'flags\t\t: fpu vme msr pae cx8 apic sep svm npt nrip_save\n\n';

/** `interface destination gateway mask` of a line in /proc/net/route; addresses dotted. */
export function routeLine(name: string, destination: string, gateway: string, mask: string): string {
  const word = (address: string) =>
    address
      .split('.')
      .reverse()
      .map(byte => Number(byte).toString(16).padStart(2, '0').toUpperCase())
      .join('');
  const flags = gateway === '0.0.0.0' ? '0001' : '0003';
  return `${name}\t${word(destination)}\t${word(gateway)}\t${flags}\t0\t0\t0\t${word(mask)}\t0\t0\t0\n`;
}

export const routeHeading =
  'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n';
