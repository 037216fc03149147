import { memo } from 'react';
import { useAppState, useTheme, useUi } from '../../components/contexts.ts';
import { type Cells, TableRow } from '../../components/table/table.tsx';
import type { Size } from '../../store/ui-slice.ts';
import { classWord } from '../../view/host-class-words.ts';
import { busFacts } from '../../view/host-facts.ts';
import type { PciRow } from '../../view/host-pci-rows.ts';
import type { Column, ColumnLayout } from '../../view/table-columns.ts';
import { driverCell, hostUseCell, markCell, shortAddress } from './cells.ts';
import { useFunctionFacts } from './function-facts.ts';
import { ListView } from './list-view.tsx';

const COLUMNS: readonly Column[] = [
  { key: 'mark', title: '', width: 1 },
  { key: 'address', title: 'ADDRESS', width: 15 },
  { key: 'class', title: 'KIND', width: 7, priority: 1 },
  { key: 'device', title: 'DEVICE', width: 14, grow: 3 },
  { key: 'driver', title: 'DRIVER', width: 10 },
  { key: 'group', title: 'GRP', width: 4, align: 'right', priority: 2 },
  { key: 'use', title: 'HOST USE', width: 14, grow: 2 },
];

/** All PCI functions, as a tree of buses. */
export function PciScreen({ size }: { size: Size }) {
  const { hostSelect } = useUi();
  const rows = useAppState(hostSelect.pci);
  const row = useAppState(hostSelect.rowAtCursor) as PciRow | null;
  const host = useAppState(state => state.host);
  const facts = useFunctionFacts(row?.address ?? null);
  const isBus = row !== null && row.address === null;
  return (
    <ListView
      list="pci"
      size={size}
      columns={COLUMNS}
      rows={rows}
      empty="This machine has no PCI devices"
      title={isBus ? `root bus ${row.name}` : (row?.name ?? '')}
      facts={isBus && host !== null ? busFacts(host, row.name) : facts}
      renderRow={(row, layout, selected) => (
        <Row key={row.key} row={row} layout={layout} selected={selected} />
      )}
    />
  );
}

type RowProps = { readonly row: PciRow; readonly layout: ColumnLayout; readonly selected: boolean };

const Row = memo(function Row({ row, layout, selected }: RowProps) {
  const { glyphs } = useTheme();
  const { hostSelect } = useUi();
  const fn = useAppState(state => state.host?.functions.get(row.address ?? ''));
  const use = useAppState(state => state.host?.use.get(row.address ?? ''));
  const marked = useAppState(state => row.address !== null && state.marked.has(row.address));
  const withDomain = useAppState(hostSelect.withDomains);
  const fold = row.open === null ? ' ' : row.open ? glyphs.fold.open : glyphs.fold.closed;
  const name = `${'  '.repeat(row.depth)}${fold} ${shortAddress(row.name, withDomain)}`;
  const cells: Cells = {
    mark: markCell(marked),
    address: row.matches ? name : { text: name, token: 'text.secondary' },
    device: { text: 'root bus', token: 'text.secondary' },
    ...(fn && {
      class: classWord(fn.class),
      device: fn.names.device ?? `${fn.vendor}:${fn.device}`,
      driver: driverCell(fn.driver),
      group: fn.iommuGroup === null ? '-' : String(fn.iommuGroup),
      use: hostUseCell(use, fn.virtualFunctions.length),
    }),
  };
  return <TableRow layout={layout} cells={cells} selected={selected} />;
});
