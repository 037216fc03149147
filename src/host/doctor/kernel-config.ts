import { gunzipSync } from 'node:zlib';
import { kernelRelease } from '../pci/modules.ts';
import type { HostRoot } from '../root.ts';
import { type Finding, info, ok } from './finding.ts';
import type { Cpu } from './processor.ts';

/** Options of the running kernel, `y`, `m` or absent; null if its configuration was not found. */
export function readKernelConfig(root: HostRoot): ReadonlyMap<string, string> | null {
  const release = kernelRelease(root) ?? '';
  const text =
    zipped(root) ??
    root.text(`/boot/config-${release}`) ??
    root.text(`/lib/modules/${release}/config`) ??
    root.text(`/usr/lib/kernel/config-${release}`);
  if (text === null) return null;
  return new Map([...text.matchAll(/^CONFIG_(\w+)=(.*)$/gm)].map(match => [match[1]!, match[2]!]));
}

function zipped(root: HostRoot): string | null {
  const bytes = root.bytes('/proc/config.gz', 4 << 20);
  if (bytes === null) return null;
  try {
    return gunzipSync(bytes, { maxOutputLength: 16 << 20 }).toString('utf8');
  } catch {
    // Damaged: fall back to the file in /boot.
    return null;
  }
}

type Wanted = {
  readonly option: string;
  readonly why: string;
  /** The state if it is missing: `fail` if passthrough is impossible, `warn` if something is lost. */
  readonly without: 'fail' | 'warn' | 'info';
  readonly vendor?: Cpu['vendor'];
};

const wanted: readonly Wanted[] = [
  { option: 'IOMMU_SUPPORT', why: 'IOMMU support', without: 'fail' },
  { option: 'INTEL_IOMMU', why: 'the driver for Intel VT-d', without: 'fail', vendor: 'intel' },
  { option: 'AMD_IOMMU', why: 'the driver for AMD-Vi', without: 'fail', vendor: 'amd' },
  { option: 'IRQ_REMAP', why: "keeps a guest's device from sending arbitrary interrupts", without: 'fail' },
  { option: 'PCI_STUB', why: 'reserves a device without using it', without: 'info' },
  { option: 'VFIO', why: 'exposes devices to user space', without: 'fail' },
  { option: 'VFIO_PCI', why: 'exposes PCI devices to user space', without: 'fail' },
  { option: 'VFIO_IOMMU_TYPE1', why: 'maps guest memory for DMA', without: 'fail' },
  { option: 'VFIO_DEVICE_CDEV', why: 'lets VMs open devices through iommufd', without: 'info' },
  { option: 'IOMMUFD', why: 'newer interface that exposes devices to user space', without: 'info' },
  { option: 'KSM', why: 'merges identical memory pages of guests', without: 'info' },
  { option: 'HUGETLBFS', why: 'huge pages for guest memory', without: 'warn' },
];

export function kernelFindings(root: HostRoot, cpu: Cpu): Finding[] {
  const config = readKernelConfig(root);
  if (config === null) {
    const title = 'the configuration of the running kernel was not found';
    return [
      info(
        'kernel.config',
        'kernel',
        title,
        `looked in /proc/config.gz and /boot/config-${kernelRelease(root)}`,
      ),
    ];
  }
  const here = wanted.filter(each => each.vendor === undefined || each.vendor === cpu.vendor);
  return [...here.map(each => optionFinding(each, config)), noIommuFinding(config)];
}

function optionFinding(each: Wanted, config: ReadonlyMap<string, string>): Finding {
  const id = `kernel.${each.option.toLowerCase().replaceAll('_', '-')}`;
  const value = config.get(each.option);
  if (value === 'y' || value === 'm') {
    const how = value === 'y' ? 'built in' : 'a module';
    return ok(id, 'kernel', `CONFIG_${each.option}: ${how}`, each.why);
  }
  return {
    id,
    area: 'kernel',
    state: each.without,
    title: `CONFIG_${each.option} is not set`,
    why: each.why,
    repair:
      each.without === 'info'
        ? []
        : [`boot a kernel with CONFIG_${each.option}, such as the distribution's kernel`],
  };
}

/** The one option that is better off. */
function noIommuFinding(config: ReadonlyMap<string, string>): Finding {
  const id = 'kernel.vfio-noiommu';
  const why = 'no-IOMMU mode passes a device through without protecting the host';
  return config.get('VFIO_NOIOMMU') === 'y'
    ? info(id, 'kernel', 'CONFIG_VFIO_NOIOMMU is set: no-IOMMU mode can be enabled', why)
    : ok(id, 'kernel', 'CONFIG_VFIO_NOIOMMU is not set', why);
}
