import { kernelParameters, parameterOptions } from '../kernel-cmdline.ts';
import { compareAddresses, slotOf } from '../pci/address.ts';
import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { type OverrideMark, overrideMark, type SharingReason, sharingReasons } from './sharing.ts';

const directory = '/sys/kernel/iommu_groups';

export type ReservedRegion = {
  /** Hexadecimal, both inclusive. */
  readonly start: string;
  readonly end: string;
  /** `msi`, `direct`, `direct-relaxable` or `reserved`. */
  readonly type: string;
};

export type IommuGroup = {
  readonly id: number;
  /** The default domain: `DMA`, `DMA-FQ`, `identity`...; null before Linux 5.11. */
  readonly type: string | null;
  readonly reserved: readonly ReservedRegion[];
  /** PCI functions, by address. */
  readonly members: readonly string[];
  /** Members that are not PCI functions, by their names in sysfs. */
  readonly others: readonly string[];
  /** Why the members can only be assigned together; empty for a group of one. */
  readonly reasons: readonly SharingReason[];
  /** Set if pcie_acs_override split functions that the hardware does not isolate. */
  readonly override: OverrideMark | null;
};

/** All IOMMU groups by number; none if there is no IOMMU, or it is off. */
export function readIommuGroups(root: HostRoot, functions: readonly PciFunction[]): IommuGroup[] {
  const byAddress = new Map(functions.map(fn => [fn.address, fn]));
  const overridden = parameterOptions(kernelParameters(root), 'pcie_acs_override');
  const slots = Map.groupBy(functions, fn => slotOf(fn.address));
  const ids = (root.list(directory) ?? []).filter(name => /^\d+$/.test(name)).map(Number);
  ids.sort((a, b) => a - b);
  return ids.map(id => {
    const names = root.list(`${directory}/${id}/devices`) ?? [];
    const members = names.filter(name => byAddress.has(name)).sort(compareAddresses);
    const inGroup = members.map(name => byAddress.get(name)!);
    return {
      id,
      type: root.attribute(`${directory}/${id}/type`),
      reserved: parseReserved(root.attribute(`${directory}/${id}/reserved_regions`) ?? ''),
      members,
      others: names.filter(name => !byAddress.has(name)),
      reasons: sharingReasons(inGroup, byAddress),
      override: overridden.length > 0 ? overrideMark(inGroup, byAddress, slots) : null,
    };
  });
}

function parseReserved(text: string): ReservedRegion[] {
  return text.split('\n').flatMap(line => {
    const [start, end, type] = line.trim().split(/\s+/);
    if (!start || !end || !type) return [];
    return [{ start: shortHex(start), end: shortHex(end), type }];
  });
}

function shortHex(text: string): string {
  return `0x${text.replace(/^0x0*(?=.)/, '')}`;
}
