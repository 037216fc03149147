import { type IommuGroup, readIommuGroups } from '../../host/iommu/groups.ts';
import type { PciFunction } from '../../host/pci/function.ts';
import { readPci } from '../../host/pci/read.ts';
import type { HostRoot } from '../../host/root.ts';
import type { DeviceOwners } from '../../view/device-owners.ts';
import { paragraph } from './paragraph.ts';
import { shortDeviceName, shortener } from './short-names.ts';
import { tableLines } from './table.ts';
import { type ListedOwner, listedOwners, NO_OWNERS, ownerColumn } from './vm-owners.ts';

export type IommuListing = {
  readonly groups: readonly (IommuGroup & {
    /** By member: VMs that have it, or take it at their next start. Members without are missing. */
    readonly vms: Readonly<Record<string, readonly ListedOwner[]>>;
  })[];
  readonly functions: readonly PciFunction[];
};

export function listGroups(root: HostRoot, owners: DeviceOwners = NO_OWNERS): IommuListing {
  const functions = readPci(root);
  const groups = readIommuGroups(root, functions).map(group => ({
    ...group,
    vms: Object.fromEntries(
      group.members
        .filter(member => owners.has(member))
        .map(member => [member, listedOwners(owners, member)]),
    ),
  }));
  return { groups, functions };
}

export function groupLines({ groups, functions }: IommuListing, cells: number): string[] {
  if (groups.length === 0) {
    return ['no IOMMU groups: the IOMMU is off or absent; run vring doctor'];
  }
  const byAddress = new Map(functions.map(fn => [fn.address, fn]));
  const short = shortener(functions.map(fn => fn.address));
  const rows = groups.flatMap(group =>
    group.members.map((address, index) => ({ group, fn: byAddress.get(address)!, first: index === 0 })),
  );
  const table = tableLines(
    rows,
    [
      { title: 'GROUP', text: row => (row.first ? String(row.group.id) : ''), align: 'right' },
      { title: 'TYPE', text: row => (row.first ? (row.group.type ?? '') : ''), rank: 1 },
      { title: 'ADDRESS', text: row => short(row.fn.address) },
      { title: 'DRIVER', text: row => row.fn.driver ?? '-', least: 10 },
      ...ownerColumn(rows, row => row.group.vms[row.fn.address] ?? []),
      { title: 'DEVICE', text: row => shortDeviceName(row.fn), least: 24 },
    ],
    cells,
  );
  const notes = groups.flatMap(group => {
    const texts = [
      ...group.reasons.map(reason => reason.text),
      ...(group.others.length > 0 ? [`also contains ${group.others.join(', ')}, not on a PCI bus`] : []),
      ...(group.override ? [group.override.text] : []),
    ];
    return texts.flatMap(text => paragraph(`group ${group.id}: ${text}`, cells, '  '));
  });
  return notes.length > 0 ? [...table, '', ...notes] : table;
}
