import { Box } from 'ink';
import { useAppState } from '../../components/contexts.ts';
import { Table, TableRow } from '../../components/table/table.tsx';
import { regionRows } from '../../store/vcpu-rows.ts';
import { percent, rate } from '../../text/units.ts';
import { type Column, layoutColumns } from '../../view/table-columns.ts';
import type { PaneProps } from './pane-props.ts';

const COLUMNS: readonly Column[] = [
  { key: 'device', title: 'DEVICE', min: 8, grow: 1, cut: 'middle' },
  { key: 'start', title: 'ADDRESS', min: 10, align: 'right', priority: 1, cut: 'never' },
  { key: 'reads', title: 'READS/s', min: 7, align: 'right' },
  { key: 'writes', title: 'WRITES/s', min: 8, align: 'right' },
  { key: 'share', title: 'TIME%', min: 5, align: 'right' },
];

/** The devices that caused exits: accesses by range of ports or memory. */
export function RegionsPane({ id, size }: PaneProps) {
  const rates = useAppState(state => (state.detail?.id === id ? state.detail.rates : null));
  const layout = layoutColumns(COLUMNS, size.columns);
  return (
    <Box width={size.columns} height={size.rows}>
      <Table
        layout={layout}
        rows={rates === null ? [] : regionRows(rates)}
        height={size.rows}
        cursor={0}
        focused={false}
        empty="None"
        renderRow={(region, selected) => (
          <TableRow
            key={region.id}
            layout={layout}
            selected={selected}
            cells={{
              device: region.device,
              start: `${region.space === 'port' ? 'port ' : ''}${region.start.toString(16)}`,
              reads: rate(region.reads),
              writes: rate(region.writes),
              share: percent(region.share),
            }}
          />
        )}
      />
    </Box>
  );
}
