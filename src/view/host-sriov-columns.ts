import type { NextBoot } from '../host/boot/next-boot.ts';
import type { VfAttributes } from '../host/sriov/ip-link.ts';
import type { PhysicalFunction } from '../host/sriov/read.ts';
import type { SortValue } from '../store/sort.ts';
import { ADDRESS, DRIVER, driverCell, GROUP, hostUseCell, OWNER, USE } from './host-columns.ts';
import type { Listed, SriovRow } from './host-rows.ts';
import type { Cell, ListColumn } from './list-columns.ts';

type Column = ListColumn<Listed<SriovRow>>;

/** A VF's setting; empty for a PF, or if the driver does not report it. */
function ofSettings(show: (settings: VfAttributes) => string): Required<Pick<Column, 'cell' | 'value'>> {
  const text = ({ row }: Listed<SriovRow>) =>
    row.virtual?.attributes == null ? '' : show(row.virtual.attributes);
  return { cell: text, value: listed => text(listed) || null };
}

const onOff = (on: boolean | null) => (on === null ? '' : on ? 'on' : 'off');

export const SRIOV_COLUMNS: readonly Column[] = [
  { key: 'mark', title: '', min: 1 },
  { ...ADDRESS, title: 'FUNCTION' },
  {
    key: 'vfs',
    names: ['vf'],
    title: 'VFS',
    min: 7,
    ideal: 9,
    letter: 'v',
    unit: 'count',
    cell: ({ row: { physical, virtual } }) =>
      virtual === null
        ? `${physical.current}/${physical.total}`
        : { text: `vf ${virtual.index}`, token: 'text.secondary' },
    value: ({ row: { physical, virtual } }) => (virtual === null ? physical.current : virtual.index),
  },
  {
    key: 'boot',
    names: ['next'],
    title: 'BOOT',
    min: 4,
    align: 'right',
    priority: 4,
    cell: ({ host, row: { address, physical, virtual } }) =>
      virtual === null ? bootCell(physical, host.nextBoot.get(address)) : '',
  },
  {
    ...DRIVER,
    min: 9,
    cell: ({ row }) => driverCell((row.virtual ?? row.physical).driver),
    value: ({ row }) => (row.virtual ?? row.physical).driver,
  },
  OWNER as Column,
  GROUP,
  {
    key: 'mac',
    title: 'MAC',
    min: 17,
    cut: 'never',
    letter: 'm',
    cell: macOf,
    value: listed => macOf(listed) || null,
  },
  {
    key: 'vlan',
    title: 'VLAN',
    min: 4,
    align: 'right',
    priority: 1,
    letter: 'l',
    unit: 'count',
    ...ofSettings(({ vlan }) => (vlan === 0 ? '-' : String(vlan))),
    value: ({ row }): SortValue => row.virtual?.attributes?.vlan ?? null,
  },
  {
    key: 'trust',
    title: 'TRUST',
    min: 5,
    priority: 2,
    letter: 't',
    ...ofSettings(({ trust }) => onOff(trust)),
  },
  {
    key: 'spoof',
    title: 'SPOOF',
    min: 5,
    priority: 2,
    letter: 's',
    ...ofSettings(({ spoofCheck }) => onOff(spoofCheck)),
  },
  {
    key: 'link',
    title: 'LINK',
    min: 7,
    priority: 5,
    ...ofSettings(({ linkState }) => linkState ?? ''),
  },
  {
    key: 'rate',
    names: ['mbit'],
    title: 'Mbit/s',
    min: 6,
    align: 'right',
    priority: 6,
    unit: 'count',
    ...ofSettings(({ maxTxRate }) => (maxTxRate === 0 ? '-' : String(maxTxRate))),
    value: ({ row }): SortValue => row.virtual?.attributes?.maxTxRate ?? null,
  },
  {
    ...USE,
    grow: 1,
    priority: 7,
    cell: ({ host, row }) => hostUseCell(host.use.get(row.address)),
  },
];

/** For a PF, the address of its interface. */
function macOf({ host, row: { address, virtual } }: Listed<SriovRow>): string {
  if (virtual !== null) return virtual.attributes?.mac ?? '';
  return host.use.get(address)?.interfaces[0]?.mac ?? '';
}

/** The number of VFs after the next boot; a warning if it differs from the present number. */
function bootCell({ current }: PhysicalFunction, next: NextBoot | undefined): Cell {
  const count = next?.vfs ?? 0;
  if (count === current) return next?.vfs == null ? '' : String(count);
  return { text: `!${count}`, token: 'status.warning' };
}
