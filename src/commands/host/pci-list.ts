import { type NextBoot, readNextBoot } from '../../host/boot/next-boot.ts';
import type { PciFunction } from '../../host/pci/function.ts';
import { readPci } from '../../host/pci/read.ts';
import type { HostRoot } from '../../host/root.ts';
import { type FunctionUse, readUse, useSummary } from '../../host/use/use.ts';
import type { DeviceOwners } from '../../view/device-owners.ts';
import { shortDeviceName, shortener } from './short-names.ts';
import { type Column, tableLines } from './table.ts';
import { type ListedOwner, listedOwners, NO_OWNERS, ownerColumn } from './vm-owners.ts';

export type ListedFunction = PciFunction & {
  readonly use: FunctionUse | null;
  readonly nextBoot: NextBoot | null;
  /** VMs that have it, or take it at their next start. */
  readonly vms: readonly ListedOwner[];
};

export function listFunctions(root: HostRoot, owners: DeviceOwners = NO_OWNERS): ListedFunction[] {
  const functions = readPci(root);
  const use = readUse(root, functions);
  const nextBoot = readNextBoot(root, functions);
  return functions.map(fn => ({
    ...fn,
    use: use.get(fn.address) ?? null,
    nextBoot: nextBoot.get(fn.address) ?? null,
    vms: listedOwners(owners, fn.address),
  }));
}

export function functionTable(functions: readonly ListedFunction[], cells: number): string[] {
  if (functions.length === 0) return ['this host has no PCI functions'];
  const short = shortener(functions.map(fn => fn.address));
  const columns: Column<ListedFunction>[] = [
    { title: 'ADDRESS', text: fn => short(fn.address) },
    { title: 'IDS', text: fn => `${fn.vendor}:${fn.device}`, rank: 3 },
    { title: 'CLASS', text: fn => fn.names.class ?? fn.class, rank: 2, least: 12 },
    { title: 'DRIVER', text: fn => fn.driver ?? '-', least: 10 },
    ...ownerColumn(functions, fn => fn.vms),
    { title: 'GROUP', text: fn => String(fn.iommuGroup ?? ''), align: 'right' },
    { title: 'NUMA', text: fn => String(fn.numaNode ?? ''), align: 'right', rank: 4 },
    { title: 'DEVICE', text: shortDeviceName, least: 24 },
    { title: 'USE', text: fn => (fn.use ? useSummary(fn.use) : ''), least: 16, rank: 1 },
    { title: 'NEXT BOOT', text: fn => fn.nextBoot?.drift ?? '', least: 16, rank: 5 },
  ];
  return tableLines(functions, columns, cells);
}
