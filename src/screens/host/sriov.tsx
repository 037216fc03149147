import { memo } from 'react';
import { useAppState, useUi } from '../../components/contexts.ts';
import { type Cell, type Cells, TableRow } from '../../components/table/table.tsx';
import type { NextBoot } from '../../host/boot/next-boot.ts';
import type { VfAttributes } from '../../host/sriov/ip-link.ts';
import type { PhysicalFunction, VirtualFunction } from '../../host/sriov/read.ts';
import type { AppState } from '../../store/app-store.ts';
import type { Size } from '../../store/ui-slice.ts';
import type { SriovRow } from '../../view/host-sriov-rows.ts';
import type { Column, ColumnLayout } from '../../view/table-columns.ts';
import { driverCell, hostUseCell, markCell, shortAddress } from './cells.ts';
import { useFunctionFacts } from './function-facts.ts';
import { ListView } from './list-view.tsx';

const COLUMNS: readonly Column[] = [
  { key: 'mark', title: '', width: 1 },
  { key: 'function', title: 'FUNCTION', width: 14 },
  { key: 'vfs', title: 'VFS', width: 6 },
  { key: 'boot', title: 'BOOT', width: 4, align: 'right', priority: 4 },
  { key: 'driver', title: 'DRIVER', width: 9 },
  { key: 'group', title: 'GRP', width: 4, align: 'right', priority: 3 },
  { key: 'mac', title: 'MAC', width: 17 },
  { key: 'vlan', title: 'VLAN', width: 4, align: 'right', priority: 1 },
  { key: 'trust', title: 'TRUST', width: 5, priority: 2 },
  { key: 'spoof', title: 'SPOOF', width: 5, priority: 2 },
  { key: 'link', title: 'LINK', width: 7, priority: 5 },
  { key: 'rate', title: 'Mbit/s', width: 6, align: 'right', priority: 6 },
  { key: 'use', title: 'HOST USE', width: 14, grow: 1, priority: 7 },
];

/** Functions that can have virtual ones, and those that they have. */
export function SriovScreen({ size }: { size: Size }) {
  const { hostSelect } = useUi();
  const rows = useAppState(hostSelect.sriov);
  const address = useAppState(hostSelect.functionAtCursor);
  const facts = useFunctionFacts(address);
  return (
    <ListView
      list="sriov"
      size={size}
      columns={COLUMNS}
      rows={rows}
      empty="No device here can have virtual functions, or none has a driver for it"
      title={address ?? ''}
      facts={facts}
      renderRow={(row, layout, selected) => (
        <Row key={row.key} row={row} layout={layout} selected={selected} />
      )}
    />
  );
}

type RowProps = { readonly row: SriovRow; readonly layout: ColumnLayout; readonly selected: boolean };

const Row = memo(function Row({ row: { address, physical, virtual }, layout, selected }: RowProps) {
  const { hostSelect } = useUi();
  const use = useAppState(state => state.host?.use.get(address));
  const next = useAppState(state => state.host?.nextBoot.get(address));
  const group = useAppState(state => state.host?.functions.get(address)?.iommuGroup ?? null);
  const marked = useAppState(state => state.marked.has(address));
  const withDomain = useAppState(hostSelect.withDomains);
  const typed = useAppState(state => typedCount(state, address));
  const name = shortAddress(address, withDomain);
  const cells: Cells = {
    mark: markCell(marked),
    function: virtual === null ? name : `  ${name}`,
    driver: driverCell((virtual ?? physical).driver),
    group: group === null ? '-' : String(group),
    use: hostUseCell(use),
    ...(virtual === null
      ? {
          vfs: countCell(physical, typed),
          boot: bootCell(physical, next),
          mac: use?.interfaces[0]?.mac ?? '',
        }
      : virtualCells(virtual)),
  };
  return <TableRow layout={layout} cells={cells} selected={selected} />;
});

/** What is being typed for a function's number of VFs; null while nothing is. */
function typedCount({ layers }: AppState, address: string): string | null {
  const layer = layers.at(-1);
  return layer?.kind === 'prompt' && layer.inRowOf === address ? layer.edit.text : null;
}

function countCell({ current, total }: PhysicalFunction, typed: string | null): Cell {
  return typed === null ? `${current}/${total}` : { text: `${typed}_/${total}`, token: 'key' };
}

/** VFs that the next boot makes; a warning where it makes another number of them than there are. */
function bootCell({ current }: PhysicalFunction, next: NextBoot | undefined): Cell {
  const count = next?.vfs ?? 0;
  if (count === current) return next?.vfs == null ? '' : String(count);
  return { text: `!${count}`, token: 'status.warning' };
}

function virtualCells({ index, attributes }: VirtualFunction): Cells {
  const vfs: Cell = { text: `vf ${index}`, token: 'text.secondary' };
  return attributes === null ? { vfs } : { vfs, ...attributeCells(attributes) };
}

function attributeCells({ mac, vlan, trust, spoofCheck, linkState, maxTxRate }: VfAttributes): Cells {
  const onOff = (on: boolean | null) => (on === null ? '' : on ? 'on' : 'off');
  return {
    mac: mac ?? '',
    vlan: vlan === 0 ? '-' : String(vlan),
    trust: onOff(trust),
    spoof: onOff(spoofCheck),
    link: linkState ?? '',
    rate: maxTxRate === 0 ? '-' : String(maxTxRate),
  };
}
