import { Box } from 'ink';
import { useAppState } from '../components/contexts.ts';
import { type Column, layoutColumns } from '../components/table/columns.ts';
import { Table, TableRow } from '../components/table/table.tsx';
import { exitName } from '../store/exit-names.ts';
import { exitRows } from '../store/pane-rows.ts';
import { count, percent, rate } from '../text/units.ts';
import type { PaneProps } from './pane-props.ts';

const COLUMNS: readonly Column[] = [
  { key: 'reason', title: 'EXIT REASON', width: 12, grow: 1 },
  { key: 'rate', title: 'RATE/s', width: 7, align: 'right' },
  { key: 'share', title: 'TIME', width: 5, align: 'right' },
  { key: 'total', title: 'TOTAL', width: 7, align: 'right' },
];

/** Exits by reason of the vCPU under the cursor of the vCPU pane, with the share of its time that they took. */
export function ExitsPane({ id, size, focused }: PaneProps) {
  const rates = useAppState(state => (state.detail?.id === id ? state.detail.rates : null));
  const vcpu = useAppState(state => state.cursors.vcpus);
  const cursor = useAppState(state => state.cursors.exits);
  const { label, exits } = rates === null ? { label: '', exits: [] } : exitRows(rates, vcpu);
  const title =
    rates !== null && rates.vcpus.length > 1
      ? `EXITS (${label === 'all' ? 'all' : `vCPU ${label}`})`
      : 'EXITS';
  const layout = layoutColumns(
    COLUMNS.map(column => (column.key === 'reason' ? { ...column, title } : column)),
    size.columns,
  );
  return (
    <Box width={size.columns} height={size.rows}>
      <Table
        layout={layout}
        rows={exits}
        height={size.rows}
        cursor={cursor}
        focused={focused}
        pane
        empty="None"
        renderRow={(exit, selected) => (
          <TableRow
            key={exit.reason}
            layout={layout}
            selected={selected}
            cells={{
              reason: exitName(exit.reason),
              rate: rate(exit.perSecond),
              share: percent(exit.share),
              total: count(exit.total),
            }}
          />
        )}
      />
    </Box>
  );
}
