import { memo, useMemo } from 'react';
import { useAppState, useUi } from '../../components/contexts.ts';
import { TableRow } from '../../components/table/table.tsx';
import type { AppState } from '../../store/app-store.ts';
import type { Size } from '../../store/ui-slice.ts';
import type { SriovRow } from '../../view/host-rows.ts';
import { SRIOV_COLUMNS } from '../../view/host-sriov-columns.ts';
import { type Cells, cellsOf, withAddress } from '../../view/list-columns.ts';
import type { ColumnLayout } from '../../view/table-columns.ts';
import { markCell, shortAddress } from './cells.ts';
import { useFunctionFacts } from './function-facts.ts';
import { ListView } from './list-view.tsx';

/** Cells by which a VF is indented below its physical function. */
const INDENT = 2;

/** Functions that can have virtual ones, and their current virtual functions. */
export function SriovScreen({ size }: { size: Size }) {
  const { hostSelect } = useUi();
  const rows = useAppState(hostSelect.sriov);
  const address = useAppState(hostSelect.functionAtCursor);
  const { cells } = useAppState(hostSelect.addresses);
  const columns = useMemo(
    () => withAddress(SRIOV_COLUMNS, { min: cells + INDENT, ideal: cells + INDENT }),
    [cells],
  );
  const facts = useFunctionFacts(address);
  return (
    <ListView
      list="sriov"
      size={size}
      columns={columns}
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

type RowProps = {
  readonly row: SriovRow;
  readonly layout: ColumnLayout<(typeof SRIOV_COLUMNS)[number]>;
  readonly selected: boolean;
};

const Row = memo(function Row({ row, layout, selected }: RowProps) {
  const { hostSelect } = useUi();
  const { address, physical, virtual, matches } = row;
  const host = useAppState(hostSelect.view);
  const marked = useAppState(state => state.marked.has(address));
  const style = useAppState(hostSelect.addresses);
  const sorted = useAppState(state => state.sorts.sriov !== undefined);
  const typed = useAppState(state => typedCount(state, address));
  if (host === null) return null;
  const name = shortAddress(address, style);
  const place = virtual === null || sorted ? name : `${' '.repeat(INDENT)}${name}`;
  const cells: Cells = {
    ...cellsOf(layout, { host, row }),
    mark: markCell(marked),
    address: matches ? place : { text: place, token: 'text.secondary' },
    ...(typed !== null && { vfs: { text: `${typed}_/${physical.total}`, token: 'key' } }),
  };
  return <TableRow layout={layout} cells={cells} selected={selected} />;
});

/** The number of VFs being typed for a function, or null. */
function typedCount({ layers }: AppState, address: string): string | null {
  const layer = layers.at(-1);
  return layer?.kind === 'prompt' && layer.inRowOf === address ? layer.edit.text : null;
}
