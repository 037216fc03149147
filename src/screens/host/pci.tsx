import { useMemo } from 'react';
import { useAppState, useUi } from '../../components/contexts.ts';
import type { Size } from '../../store/ui-slice.ts';
import type { Glyphs } from '../../theme/glyphs.ts';
import { PCI_COLUMNS } from '../../view/host-columns.ts';
import { busFacts } from '../../view/host-facts.ts';
import type { PciRow } from '../../view/host-rows.ts';
import { type Cells, cellsOf, withAddress } from '../../view/list-columns.ts';
import { markCell, shortAddress } from './cells.ts';
import { useFunctionFacts } from './function-facts.ts';
import { type HostLayout, ListView, type RowContext } from './list-view.tsx';

/** Cells per level of the tree, and of the mark of a node with children. */
const STEP_CELLS = 2;
const FOLD_CELLS = 2;

/** All PCI functions, as a tree of buses. */
export function PciScreen({ size }: { size: Size }) {
  const { hostSelect } = useUi();
  const rows = useAppState(hostSelect.pci);
  const row = useAppState(hostSelect.rowAtCursor) as PciRow | null;
  const host = useAppState(hostSelect.view);
  const { cells } = useAppState(hostSelect.addresses);
  const depth = useAppState(hostSelect.pciDepth);
  const columns = useMemo(() => {
    const min = FOLD_CELLS + cells;
    return withAddress(PCI_COLUMNS, { min, ideal: min + depth * STEP_CELLS });
  }, [cells, depth]);
  const facts = useFunctionFacts(row?.address ?? null);
  const bus = row !== null && row.address === null ? row.name : null;
  const ofBus = useMemo(() => (host === null || bus === null ? [] : busFacts(host, bus)), [host, bus]);
  return (
    <ListView
      list="pci"
      size={size}
      columns={columns}
      rows={rows}
      empty="This machine has no PCI devices"
      title={bus === null ? (row?.name ?? '') : `root bus ${bus}`}
      facts={bus === null ? facts : ofBus}
      cells={rowCells}
    />
  );
}

function rowCells(row: PciRow, layout: HostLayout, { host, marked, addresses, glyphs }: RowContext): Cells {
  const room = layout.find(({ key }) => key === 'address')!.cells;
  const name = treeName(row, shortAddress(row.name, addresses), room, glyphs);
  return {
    ...cellsOf(layout, { host, row }),
    ...(row.address === null && { device: { text: 'root bus', token: 'text.secondary' } }),
    mark: markCell(marked),
    address: row.matches ? name : { text: name, token: 'text.secondary' },
  };
}

/**
 * Its position in the tree and its name. If space is tight, deep nodes are indented less, and no address is truncated.
 */
function treeName({ depth, open }: PciRow, name: string, room: number, { fold }: Glyphs): string {
  const sign = open === null ? ' ' : open ? fold.open : fold.closed;
  const indent = Math.min(depth * STEP_CELLS, Math.max(0, room - FOLD_CELLS - name.length));
  return `${' '.repeat(indent)}${sign} ${name}`;
}
