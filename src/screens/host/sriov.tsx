import { useMemo } from 'react';
import { useAppState, useUi } from '../../components/contexts.ts';
import type { AppState } from '../../store/app-store.ts';
import type { PromptLayer } from '../../store/layers.ts';
import type { Size } from '../../store/ui-slice.ts';
import type { SriovRow } from '../../view/host-rows.ts';
import { SRIOV_COLUMNS } from '../../view/host-sriov-columns.ts';
import { type Cells, cellsOf, withAddress } from '../../view/list-columns.ts';
import type { ColumnLayout } from '../../view/table-columns.ts';
import { markCell, shortAddress } from './cells.ts';
import { useFunctionFacts } from './function-facts.ts';
import { ListView, type RowContext } from './list-view.tsx';

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
  const indented = useAppState(state => state.sorts.sriov === undefined);
  const typed = useAppState(promptInRow);
  const rowCells = useMemo(() => cellsOfRow(indented, typed), [indented, typed]);
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
      cells={rowCells}
    />
  );
}

type SriovLayout = ColumnLayout<(typeof SRIOV_COLUMNS)[number]>;

/** @param indented whether VFs are below their physical functions */
function cellsOfRow(indented: boolean, typed: PromptLayer | null) {
  return (row: SriovRow, layout: SriovLayout, { host, marked, addresses }: RowContext): Cells => {
    const { address, physical, virtual, matches } = row;
    const name = shortAddress(address, addresses);
    const place = virtual === null || !indented ? name : `${' '.repeat(INDENT)}${name}`;
    return {
      ...cellsOf(layout, { host, row }),
      mark: markCell(marked),
      address: matches ? place : { text: place, token: 'text.secondary' },
      ...(typed?.inRowOf === address && {
        vfs: { text: `${typed.edit.text}_/${physical.total}`, token: 'key' },
      }),
    };
  };
}

/** The prompt for a number of VFs, or null. */
function promptInRow({ layers }: AppState): PromptLayer | null {
  const layer = layers.at(-1);
  return layer?.kind === 'prompt' && layer.inRowOf !== null ? layer : null;
}
