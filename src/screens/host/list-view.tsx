import { memo, type ReactNode, useMemo } from 'react';
import { useAppState, useTheme, useUi } from '../../components/contexts.ts';
import { Table, TableRow } from '../../components/table/table.tsx';
import { filterOf } from '../../store/list-slice.ts';
import type { HostList } from '../../store/screens.ts';
import type { Size } from '../../store/ui-slice.ts';
import type { Glyphs } from '../../theme/glyphs.ts';
import type { HostView } from '../../view/device-owners.ts';
import type { Fact } from '../../view/facts.ts';
import { OWNER, type PCI_COLUMNS } from '../../view/host-columns.ts';
import type { HostRow } from '../../view/host-rows.ts';
import type { AddressStyle } from '../../view/host-selectors.ts';
import type { Cells } from '../../view/list-columns.ts';
import { type Column, type ColumnLayout, layoutColumns } from '../../view/table-columns.ts';
import { noMatchText } from '../../view/unknown-columns.ts';
import { ListAndSide } from '../list-and-side.tsx';
import { splitPlaces } from '../split.ts';

/** The columns of a list whose rows are functions. */
export type HostLayout = ColumnLayout<(typeof PCI_COLUMNS)[number]>;

/** What the cells of a row depend on besides the row. */
export type RowContext = {
  readonly host: HostView;
  readonly marked: boolean;
  readonly addresses: AddressStyle;
  readonly glyphs: Glyphs;
};

type CellsOfRow<Row, Of extends Column> = (row: Row, layout: ColumnLayout<Of>, context: RowContext) => Cells;

type ListViewProps<Row extends HostRow, Of extends Column> = {
  readonly list: HostList;
  readonly size: Size;
  readonly columns: readonly Of[];
  readonly rows: readonly Row[];
  /** Why the list is empty, if no filter is the reason. */
  readonly empty: string;
  /** The same function as long as its results are the same. */
  readonly cells: CellsOfRow<Row, Of>;
  /** The title of the row under the cursor, above its facts. */
  readonly title: string;
  readonly facts: readonly Fact[];
  /** Where the details are shown: on their own screen, too, or only here. */
  readonly details?: 'elsewhere' | 'here';
};

/** A list of the host, and the details of the row under the cursor. */
export function ListView<Row extends HostRow, Of extends Column>(props: ListViewProps<Row, Of>) {
  const { list, size, columns, rows, cells } = props;
  const { hostSelect } = useUi();
  // Asked for here, not in each row: a key then asks once.
  const host = useAppState(hostSelect.view);
  const marked = useAppState(state => state.marked);
  const addresses = useAppState(hostSelect.addresses);
  const cursor = useAppState(state => hostSelect.cursorRow(state, list));
  const sort = useAppState(state => state.sorts[list]);
  const empty = useEmptyText(list, props.empty);
  const split = splitPlaces(size, props.title === '' ? 'none' : (props.details ?? 'elsewhere'));
  // The same layout while the size stays the same, so that unchanged rows are not redrawn.
  const owned = host !== null && host.owners.size > 0;
  const layout = useMemo(() => {
    const shown = owned ? columns : columns.filter(({ key }) => key !== OWNER.key);
    return layoutColumns(shown, split.list.columns);
  }, [columns, split.list.columns, owned]);
  return (
    <ListAndSide size={size} split={split} title={props.title} facts={props.facts}>
      <Table
        layout={layout}
        rows={host === null ? [] : rows}
        height={split.list.rows}
        cursor={cursor}
        focused
        empty={empty}
        sort={sort}
        renderRow={(row, selected) => (
          <ListRow
            key={row.key}
            row={row}
            layout={layout}
            cells={cells}
            selected={selected}
            host={host!}
            marked={row.address !== null && marked.has(row.address)}
            addresses={addresses}
          />
        )}
      />
    </ListAndSide>
  );
}

type ListRowProps<Row, Of extends Column> = Omit<RowContext, 'glyphs'> & {
  readonly row: Row;
  readonly layout: ColumnLayout<Of>;
  readonly cells: CellsOfRow<Row, Of>;
  readonly selected: boolean;
};

const ListRow = memo(function ListRow<Row, Of extends Column>(props: ListRowProps<Row, Of>) {
  const { row, layout, cells, selected, ...context } = props;
  const { glyphs } = useTheme();
  return <TableRow layout={layout} cells={cells(row, layout, { ...context, glyphs })} selected={selected} />;
}) as <Row, Of extends Column>(props: ListRowProps<Row, Of>) => ReactNode;

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
