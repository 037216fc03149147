import { readPci } from '../../host/pci/read.ts';
import type { HostRoot } from '../../host/root.ts';
import { type PhysicalFunction, readSriov, type VirtualFunction } from '../../host/sriov/read.ts';
import type { DeviceOwners } from '../../view/device-owners.ts';
import { shortener } from './short-names.ts';
import { type Column, tableLines } from './table.ts';
import { type ListedOwner, listedOwners, NO_OWNERS, ownerColumn } from './vm-owners.ts';

/** With the VMs that have each function, or take it at their next start. */
type Owned<Of> = Of & { readonly vms: readonly ListedOwner[] };
export type ListedPhysical = Owned<Omit<PhysicalFunction, 'vfs'>> & {
  readonly vfs: readonly Owned<VirtualFunction>[];
};

export async function listSriov(root: HostRoot, owners: DeviceOwners = NO_OWNERS): Promise<ListedPhysical[]> {
  const vms = (address: string) => listedOwners(owners, address);
  return (await readSriov(root, readPci(root))).map(pf => ({
    ...pf,
    vfs: pf.vfs.map(vf => ({ ...vf, vms: vms(vf.address) })),
    vms: vms(pf.address),
  }));
}

type Row = { readonly pf: ListedPhysical; readonly vf: ListedPhysical['vfs'][number] | null };

export function sriovLines(physicalFunctions: readonly ListedPhysical[], cells: number): string[] {
  if (physicalFunctions.length === 0) {
    return ['no SR-IOV functions with driver and kernel support'];
  }
  const short = shortener(physicalFunctions.flatMap(pf => [pf.address, ...pf.vfs.map(vf => vf.address)]));
  const rows = physicalFunctions.flatMap((pf): Row[] => [
    { pf, vf: null },
    ...pf.vfs.map(vf => ({ pf, vf })),
  ]);
  const columns: Column<Row>[] = [
    { title: 'ADDRESS', text: ({ pf, vf }) => (vf ? `  ${short(vf.address)}` : short(pf.address)) },
    { title: 'VFS', text: ({ pf, vf }) => (vf ? `vf ${vf.index}` : `${pf.current}/${pf.total}`) },
    { title: 'DRIVER', text: ({ pf, vf }) => (vf ?? pf).driver ?? '-', least: 8 },
    ...ownerColumn(rows, ({ pf, vf }) => (vf ?? pf).vms),
    { title: 'GROUP', text: ({ vf }) => String(vf?.iommuGroup ?? ''), align: 'right' },
    { title: 'INTERFACE', text: ({ pf, vf }) => (vf ?? pf).interfaces.join(','), least: 8 },
    { title: 'MAC', text: ({ vf }) => vf?.attributes?.mac ?? '' },
    { title: 'VLAN', text: ({ vf }) => vlanText(vf), align: 'right' },
    { title: 'TRUST', text: ({ vf }) => flag(vf?.attributes?.trust) },
    { title: 'SPOOFCHK', text: ({ vf }) => flag(vf?.attributes?.spoofCheck), rank: 1 },
    { title: 'LINK', text: ({ vf }) => vf?.attributes?.linkState ?? '', rank: 2 },
    { title: 'RATE', text: ({ vf }) => rateText(vf), rank: 3 },
    {
      title: 'AUTOPROBE',
      text: ({ pf, vf }) => (vf ? '' : flag(pf.autoprobe)),
      rank: 4,
    },
  ];
  return tableLines(rows, columns, cells);
}

function vlanText(vf: VirtualFunction | null): string {
  const { vlan = 0, qos = 0 } = vf?.attributes ?? {};
  if (vlan === 0) return '';
  return qos > 0 ? `${vlan}/${qos}` : String(vlan);
}

function rateText(vf: VirtualFunction | null): string {
  const { minTxRate = 0, maxTxRate = 0 } = vf?.attributes ?? {};
  if (maxTxRate === 0 && minTxRate === 0) return '';
  return `${minTxRate > 0 ? `${minTxRate}-` : ''}${maxTxRate > 0 ? maxTxRate : ''} Mbit/s`;
}

function flag(value: boolean | null | undefined): string {
  return value == null ? '' : value ? 'on' : 'off';
}
