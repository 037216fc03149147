import { useAppState, useTheme } from '../../components/contexts.ts';
import { Table, TableRow } from '../../components/table/table.tsx';
import { UNCLAIMED } from '../../devices/bus.ts';
import type { Sort } from '../../store/sort.ts';
import { type AddressOrder, vmViewOf } from '../../store/vm-view-slice.ts';
import { count, nanoseconds, percent, rate } from '../../text/units.ts';
import type { Glyphs } from '../../theme/glyphs.ts';
import type { Token } from '../../theme/tokens.ts';
import { type AddressRow, addressRows, type Heat } from '../../view/address-rows.ts';
import type { Cell, Cells } from '../../view/list-columns.ts';
import { type Column, type ColumnLayout, layoutColumns } from '../../view/table-columns.ts';
import { useEmptyText } from './empty-text.ts';
import type { PaneProps } from './pane-props.ts';

const COLUMNS: readonly Column[] = [
  { key: 'at', title: 'ADDRESS', min: 10, cut: 'never' },
  { key: 'device', title: 'DEVICE', min: 9, ideal: 16, grow: 1, cut: 'middle' },
  { key: 'reads', title: 'READS/s', min: 7, align: 'right' },
  { key: 'writes', title: 'WRITES/s', min: 8, align: 'right' },
  { key: 'rate', title: 'RATE/s', min: 7, align: 'right', priority: 2 },
  { key: 'mean', title: 'MEAN', min: 6, align: 'right', priority: 1 },
  { key: 'total', title: 'TOTAL', min: 6, align: 'right', priority: 3 },
  { key: 'share', title: 'TIME%', min: 5, align: 'right' },
  { key: 'heat', title: 'HEAT', min: 8, grow: 3 },
];

/** The column that the rows are sorted by. */
const SORTED_BY: Readonly<Record<AddressOrder, Sort>> = {
  cost: { column: 'share', descending: true },
  rate: { column: 'rate', descending: true },
  address: { column: 'at', descending: false },
};

/** The exit heat map: the ports and memory addresses that caused exits, and how much time they cost. */
export function ExitsTab({ id, size }: PaneProps) {
  const { glyphs } = useTheme();
  const rates = useAppState(state => (state.detail?.id === id ? state.detail.rates : null));
  const cursor = useAppState(state => vmViewOf(state, id).cursors.exits);
  const empty = useEmptyText(id, rates === null ? 'No sample' : 'No device was accessed');
  const order = useAppState(state => vmViewOf(state, id).addressOrder);
  const rows = rates === null ? [] : addressRows(rates, order);
  const layout = layoutColumns(COLUMNS, size.columns);
  const most = Math.max(...rows.map(({ part }) => part));
  return (
    <Table
      layout={layout}
      sort={SORTED_BY[order]}
      rows={rows}
      height={size.rows}
      cursor={cursor}
      focused
      empty={empty}
      renderRow={(row, selected) => (
        <TableRow
          key={row.key}
          layout={layout}
          selected={selected}
          cells={cellsOf(row, most, layout, glyphs)}
        />
      )}
    />
  );
}

function cellsOf(row: AddressRow, most: number, layout: ColumnLayout, glyphs: Glyphs): Cells {
  return {
    at: row.at,
    device: row.device ?? { text: UNCLAIMED, token: 'status.warning' },
    reads: rate(row.reads),
    writes: rate(row.writes),
    rate: rate(row.perSecond),
    mean: row.meanNs === null ? '-' : nanoseconds(row.meanNs),
    total: count(row.total),
    share: percent(row.share),
    heat: heatCell(row, most, layout.at(-1)!.cells, glyphs),
  };
}

const TOKENS: Readonly<Record<Heat, Token>> = {
  hot: 'status.error',
  warm: 'status.warning',
  cool: 'status.ok',
  cold: 'text.secondary',
};

/** The length is the share of the costliest address; glyph and color show the share of everything. */
function heatCell({ part, heat }: AddressRow, most: number, cells: number, { bar }: Glyphs): Cell {
  const glyph = { hot: bar.guest, warm: bar.kvm, cool: bar.devices, cold: '' }[heat];
  return { text: glyph.repeat(Math.ceil((part / most) * cells) || 0), token: TOKENS[heat] };
}
