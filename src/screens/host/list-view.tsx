import { type ReactNode, useMemo } from 'react';
import { useAppState, useUi } from '../../components/contexts.ts';
import { Table } from '../../components/table/table.tsx';
import { filterOf } from '../../store/list-slice.ts';
import type { HostList } from '../../store/screens.ts';
import type { Size } from '../../store/ui-slice.ts';
import type { Fact } from '../../view/facts.ts';
import { OWNER, type PCI_COLUMNS } from '../../view/host-columns.ts';
import { type Column, type ColumnLayout, layoutColumns } from '../../view/table-columns.ts';
import { noMatchText } from '../../view/unknown-columns.ts';
import { ListAndSide } from '../list-and-side.tsx';
import { splitPlaces } from '../split.ts';

/** The columns of a list whose rows are functions. */
export type HostLayout = ColumnLayout<(typeof PCI_COLUMNS)[number]>;

type ListViewProps<Row, Of extends Column> = {
  readonly list: HostList;
  readonly size: Size;
  readonly columns: readonly Of[];
  readonly rows: readonly Row[];
  /** Why the list is empty, if no filter is the reason. */
  readonly empty: string;
  readonly renderRow: (row: Row, layout: ColumnLayout<Of>, selected: boolean) => ReactNode;
  /** The title of the row under the cursor, above its facts. */
  readonly title: string;
  readonly facts: readonly Fact[];
  /** Where the details are shown: on their own screen, too, or only here. */
  readonly details?: 'elsewhere' | 'here';
};

/** A list of the host, and the details of the row under the cursor. */
export function ListView<Row, Of extends Column>(props: ListViewProps<Row, Of>) {
  const { list, size, columns, rows, renderRow } = props;
  const { hostSelect } = useUi();
  const cursor = useAppState(state => hostSelect.cursorRow(state, list));
  const sort = useAppState(state => state.sorts[list]);
  const empty = useEmptyText(list, props.empty);
  const split = splitPlaces(size, props.title === '' ? 'none' : (props.details ?? 'elsewhere'));
  // The same layout while the size stays the same, so that unchanged rows are not redrawn.
  const owned = useAppState(state => (hostSelect.view(state)?.owners.size ?? 0) > 0);
  const layout = useMemo(() => {
    const shown = owned ? columns : columns.filter(({ key }) => key !== OWNER.key);
    return layoutColumns(shown, split.list.columns);
  }, [columns, split.list.columns, owned]);
  return (
    <ListAndSide size={size} split={split} title={props.title} facts={props.facts}>
      <Table
        layout={layout}
        rows={rows}
        height={split.list.rows}
        cursor={cursor}
        focused
        empty={empty}
        sort={sort}
        renderRow={(row, selected) => renderRow(row, layout, selected)}
      />
    </ListAndSide>
  );
}

function useEmptyText(list: HostList, otherwise: string): string {
  const read = useAppState(state => state.host !== null);
  const reading = useAppState(state => state.hostReading !== null);
  const lost = useAppState(state => state.hostLost);
  const problem = useAppState(state => state.host?.general.problems[0] ?? null);
  const filter = useAppState(state => filterOf(state, list));
  if (lost !== null) return lost;
  if (!read) return 'Reading the host';
  // Functions appear as they are read; everything else, once all are read.
  if (reading) return 'Reading the host: the functions come first';
  if (filter !== '') return noMatchText(list, filter, 'Nothing');
  return problem ?? otherwise;
}
