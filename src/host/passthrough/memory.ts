import { lockableMemory, readHugepages } from '../doctor/memory.ts';
import type { PciFunction } from '../pci/function.ts';
import type { HostSurvey } from '../plan/survey.ts';
import type { HostRoot } from '../root.ts';
import { integer } from '../text.ts';
import { readModule } from '../vfio/modules.ts';
import type { PassthroughVm, PinnedMemory, Reason } from './assessment.ts';
import { block, ok, warn } from './reason.ts';

export function pinnedMemory(root: HostRoot, vm: PassthroughVm | undefined): PinnedMemory {
  return {
    bytes: vm?.memoryBytes ?? null,
    limit: lockableMemory(root),
    available: hostMemory(root, 'MemAvailable'),
  };
}

/** Whether all of the VM's memory can be pinned and mapped for the devices. */
export function memoryReasons(
  survey: HostSurvey,
  functions: readonly PciFunction[],
  vm: PassthroughVm | undefined,
): Reason[] {
  const { root } = survey;
  return [
    lockReason(root, vm),
    ...(vm === undefined || vm.state === 'running' ? [] : roomReasons(root, vm)),
    ...mappingReasons(root, functions),
    ...(vm?.balloon
      ? [warn('memory', null, 'its balloon gives the host nothing back: all its memory stays pinned')]
      : []),
  ];
}

/** Pinned pages count against RLIMIT_MEMLOCK, unless the process has CAP_IPC_LOCK. */
function lockReason(root: HostRoot, vm: PassthroughVm | undefined): Reason {
  const limit = lockableMemory(root);
  if (limit === null) return ok('memlock', null, 'locked memory is unlimited');
  const may = `this user may lock ${mebibytes(limit)} (RLIMIT_MEMLOCK)`;
  const repair = (need: string) => [
    `add "<user> - memlock ${need}" to /etc/security/limits.d/vring.conf and log in again`,
    'for a service: LimitMEMLOCK=infinity in its unit',
  ];
  if (vm === undefined) {
    return warn('memlock', null, `a VM must lock all its memory, but ${may}`, ...repair('unlimited'));
  }
  if (vm.memoryBytes <= limit) {
    return ok('memlock', null, `${vm.name} locks ${mebibytes(vm.memoryBytes)}, and ${may}`);
  }
  const kibibytes = String(Math.ceil(vm.memoryBytes / 2 ** 10));
  const reason = `${vm.name} must lock ${mebibytes(vm.memoryBytes)}, but ${may}`;
  return block('memlock', null, reason, ...repair(kibibytes));
}

/** Pinning takes all of the memory immediately, not as the guest uses it. */
function roomReasons(root: HostRoot, { name, memoryBytes, hugepageBytes = null }: PassthroughVm): Reason[] {
  if (hugepageBytes !== null) {
    const pool = readHugepages(root).find(({ size }) => size === hugepageBytes);
    const free = (pool?.free ?? 0) * hugepageBytes;
    if (free >= memoryBytes) return [ok('hugepages', null, `${mebibytes(free)} of huge pages are free`)];
    const pages = Math.ceil((memoryBytes - free) / hugepageBytes) + (pool?.total ?? 0);
    const file = `/sys/kernel/mm/hugepages/hugepages-${hugepageBytes / 2 ** 10}kB/nr_hugepages`;
    const reason = `${name} needs ${mebibytes(memoryBytes)} of huge pages, and ${mebibytes(free)} are free`;
    return [block('hugepages', null, reason, `echo ${pages} > ${file}`)];
  }
  const total = hostMemory(root, 'MemTotal');
  const available = hostMemory(root, 'MemAvailable');
  if (total !== null && memoryBytes > total) {
    const reason = `${name} has ${mebibytes(memoryBytes)}, all of which is pinned, but the host has ${mebibytes(total)} in all`;
    return [block('memory', null, reason, 'give the VM less memory')];
  }
  if (available !== null && memoryBytes > available) {
    const reason = `${name} pins ${mebibytes(memoryBytes)} as it starts, but the host has ${mebibytes(available)} available`;
    return [warn('memory', null, reason, 'stop another VM first, or give this one less memory')];
  }
  return [ok('memory', null, `${mebibytes(memoryBytes)} will be pinned while ${name} runs`)];
}

/** RAM below and above 4 GiB, and a page of firmware. */
const RAM_MAPPINGS = 4;
/** Per device: its BARs, split around the MSI-X table. */
const DEVICE_MAPPINGS = 12;

/** Type 1 containers limit the number of mappings, whatever their size (dma_entry_limit). */
function mappingReasons(root: HostRoot, functions: readonly PciFunction[]): Reason[] {
  const limit = integer(readModule(root, 'vfio_iommu_type1').parameters.dma_entry_limit ?? null);
  const needed = RAM_MAPPINGS + DEVICE_MAPPINGS * functions.length;
  if (limit === null || limit >= needed) return [];
  const reason = `a VM may have ${limit} DMA mappings (dma_entry_limit), but needs up to ${needed}`;
  const file = '/sys/module/vfio_iommu_type1/parameters/dma_entry_limit';
  return [block('mappings', null, reason, `echo 65535 > ${file}`)];
}

/** A line of /proc/meminfo, in bytes. */
function hostMemory(root: HostRoot, key: string): number | null {
  const text = root.text('/proc/meminfo') ?? '';
  const kibibytes = integer(new RegExp(`^${key}:\\s*(\\d+) kB`, 'm').exec(text)?.[1] ?? null);
  return kibibytes === null ? null : kibibytes * 2 ** 10;
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 2 ** 20)} MiB`;
}
