import { Box, Text } from 'ink';
import { useAppState, useTheme } from '../../components/contexts.ts';
import { Table, TableRow } from '../../components/table/table.tsx';
import { TimeBar } from '../../components/time-bar.tsx';
import { percentiles } from '../../engine/sampling/histogram.ts';
import { type VcpuRow, vcpuAt, vcpuRows } from '../../store/vcpu-rows.ts';
import { vmViewOf } from '../../store/vm-view-slice.ts';
import { nanoseconds, percent, rate } from '../../text/units.ts';
import type { Glyphs } from '../../theme/glyphs.ts';
import { type Column, layoutColumns } from '../../view/table-columns.ts';
import { vcpuLabelsOf, vcpuStateText } from '../../view/vcpu-state.ts';
import type { VcpuLabel } from '../../vmm/machine/topology.ts';
import { useEmptyText } from './empty-text.ts';
import type { PaneProps } from './pane-props.ts';

/** The titles of the shares of time are also the legend of the bar below. */
const columns = ({ bar }: Glyphs): readonly Column[] => [
  { key: 'vcpu', title: 'vCPU', min: 4 },
  { key: 'state', title: 'STATE', min: 7 },
  { key: 'exits', title: 'EXITS/s', min: 7, align: 'right' },
  { key: 'guest', title: `${bar.guest}GUEST`, min: 6, align: 'right' },
  { key: 'kvm', title: `${bar.kvm}KVM`, min: 5, align: 'right' },
  { key: 'devices', title: `${bar.devices}DEV`, min: 5, align: 'right' },
];

/** Cells of the labels below the table. */
const LABEL_CELLS = 10;
const SUMMARY_ROWS = 2;

/** Where each vCPU's time goes; below, bars and graphs for the one under the cursor. */
export function VcpuPane({ id, size }: PaneProps) {
  const { style, glyphs } = useTheme();
  const rates = useAppState(state => (state.detail?.id === id ? state.detail.rates : null));
  const labels = useAppState(state => vcpuLabelsOf(state, id));
  const cursor = useAppState(state => vmViewOf(state, id).cursors.vcpus);
  const empty = useEmptyText(id, 'No sample');
  const layout = layoutColumns(columns(glyphs), size.columns);
  const vcpu = rates && vcpuAt(rates, cursor)?.vcpu;
  const answer = vcpu && percentiles(vcpu.latency);
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      <Table
        layout={layout}
        rows={rates === null ? [] : vcpuRows(rates)}
        height={size.rows - SUMMARY_ROWS}
        cursor={cursor}
        focused
        empty={empty}
        renderRow={(row, selected) => (
          <TableRow key={row.label} layout={layout} selected={selected} cells={cellsOf(row, labels)} />
        )}
      />
      <Text wrap="truncate">
        <Text {...style('text.secondary')}>{label('time')}</Text>
        {vcpu && <TimeBar time={vcpu.time} cells={size.columns - LABEL_CELLS} />}
      </Text>
      <Text wrap="truncate">
        <Text {...style('text.secondary')}>{label('latency')}</Text>
        {answer ? `p50 ${nanoseconds(answer.p50Ns)}, p99 ${nanoseconds(answer.p99Ns)}` : '-'}
      </Text>
    </Box>
  );
}

const label = (text: string) => `  ${text}`.padEnd(LABEL_CELLS);

function cellsOf(row: VcpuRow, labels: readonly VcpuLabel[]) {
  const { label, vcpu } = row;
  return {
    vcpu: label,
    state: vcpuStateText(row, labels),
    exits: rate(vcpu.exitsPerSecond),
    guest: percent(vcpu.time.guest),
    kvm: percent(vcpu.time.kvm),
    devices: percent(vcpu.time.devices),
  };
}
