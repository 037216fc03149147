import { Box } from 'ink';
import { useAppState } from '../../components/contexts.ts';
import { Table, TableRow } from '../../components/table/table.tsx';
import { exitName } from '../../engine/sampling/names.ts';
import { vcpuAt } from '../../store/vcpu-rows.ts';
import { vmViewOf } from '../../store/vm-view-slice.ts';
import { count, percent, rate } from '../../text/units.ts';
import { type Column, layoutColumns } from '../../view/table-columns.ts';
import type { PaneProps } from './pane-props.ts';

const COLUMNS: readonly Column[] = [
  { key: 'reason', title: 'EXIT REASON', min: 12, grow: 1 },
  { key: 'rate', title: 'RATE/s', min: 7, align: 'right' },
  { key: 'share', title: 'TIME%', min: 5, align: 'right' },
  { key: 'total', title: 'TOTAL', min: 7, align: 'right' },
];

/** Exits of the vCPU under the cursor by reason, with their share of its time. */
export function ExitsPane({ id, size }: PaneProps) {
  const rates = useAppState(state => (state.detail?.id === id ? state.detail.rates : null));
  const cursor = useAppState(state => vmViewOf(state, id).cursors.vcpus);
  const row = rates && vcpuAt(rates, cursor);
  const several = rates !== null && rates.vcpus.length > 1;
  const whose = row?.label === 'all' ? 'all' : `vCPU ${row?.label}`;
  const layout = layoutColumns(
    COLUMNS.map(column =>
      column.key === 'reason' && several ? { ...column, title: `EXITS (${whose})` } : column,
    ),
    size.columns,
  );
  return (
    <Box width={size.columns} height={size.rows}>
      <Table
        layout={layout}
        rows={row?.vcpu.exits ?? []}
        height={size.rows}
        cursor={0}
        focused={false}
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
