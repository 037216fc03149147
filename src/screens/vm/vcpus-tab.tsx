import { Box } from 'ink';
import { useAppState, useTheme } from '../../components/contexts.ts';
import { HistogramBars } from '../../components/histogram-bars.tsx';
import { Section } from '../../components/section.tsx';
import { sparkline } from '../../components/sparkline.ts';
import { Table, TableRow } from '../../components/table/table.tsx';
import { percentiles } from '../../engine/sampling/histogram.ts';
import { type VcpuRow, vcpuAt, vcpuRows } from '../../store/vcpu-rows.ts';
import { vmViewOf } from '../../store/vm-view-slice.ts';
import { own } from '../../text/own.ts';
import { nanoseconds, percent, rate } from '../../text/units.ts';
import type { Glyphs } from '../../theme/glyphs.ts';
import { rateScale, type Scale } from '../../view/graph-scale.ts';
import type { Cells } from '../../view/list-columns.ts';
import { type Column, type ColumnLayout, layoutColumns } from '../../view/table-columns.ts';
import { vcpuLabelsOf, vcpuStateText } from '../../view/vcpu-state.ts';
import type { VcpuLabel } from '../../vmm/machine/topology.ts';
import { useEmptyText } from './empty-text.ts';
import { ExitsPane } from './exits-pane.tsx';
import { listAndDetails } from './list-and-details.ts';
import type { PaneProps } from './pane-props.ts';

const COLUMNS: readonly Column[] = [
  { key: 'vcpu', title: 'vCPU', min: 4 },
  { key: 'state', title: 'STATE', min: 7 },
  { key: 'guest', title: 'GUEST', min: 5, align: 'right' },
  { key: 'kvm', title: 'KVM', min: 5, align: 'right' },
  { key: 'devices', title: 'DEV', min: 5, align: 'right' },
  { key: 'exits', title: 'EXITS/s', min: 7, align: 'right' },
  { key: 'p50', title: 'P50', min: 6, align: 'right', priority: 1 },
  { key: 'p99', title: 'P99', min: 6, align: 'right', priority: 1 },
  { key: 'cpu', title: 'ON CPU', min: 6, align: 'right', priority: 2 },
  { key: 'thread', title: 'THREAD', min: 8, align: 'right', priority: 2 },
  { key: 'history', title: 'EXITS', min: 16, priority: 3, grow: 1 },
];

/** Each vCPU's time and exits; below, for the one under the cursor, exits by reason and their durations. */
export function VcpusTab({ id, size }: PaneProps) {
  const { glyphs } = useTheme();
  const rates = useAppState(state => (state.detail?.id === id ? state.detail.rates : null));
  const histories = useAppState(state => state.detailHistory.vcpus);
  const pinning = useAppState(state => own(state.infos, id)?.topology?.pinning ?? NOT_PINNED);
  const labels = useAppState(state => vcpuLabelsOf(state, id));
  const cursor = useAppState(state => vmViewOf(state, id).cursors.vcpus);
  const empty = useEmptyText(id, 'No sample');
  const rows = rates === null ? [] : vcpuRows(rates);
  const { list, details } = listAndDetails(size, rows.length);
  const scale = rateScale(Object.values(histories));
  const layout = layoutColumns(
    COLUMNS.map(column => (column.key === 'history' ? { ...column, title: `EXITS ${scale.label}` } : column)),
    list.columns,
  );
  const half = Math.floor((size.columns - 1) / 2);
  const at = rates && vcpuAt(rates, cursor);
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      <Table
        layout={layout}
        rows={rows}
        height={list.rows}
        cursor={cursor}
        focused
        empty={empty}
        renderRow={(row, selected) => (
          <TableRow
            key={row.label}
            layout={layout}
            selected={selected}
            cells={cellsOf(row, labels, historyOf(row, histories, layout, scale, glyphs))}
          />
        )}
      />
      {details && at && (
        <>
          <Section title={`${subject(at, pinning)}: exits and their latency`} columns={size.columns} />
          <Box columnGap={1}>
            <ExitsPane id={id} size={{ columns: half, rows: details.rows - 1 }} />
            <HistogramBars
              counts={at.vcpu.latency}
              size={{ columns: size.columns - half - 1, rows: details.rows - 1 }}
              empty="no exits handled"
            />
          </Box>
        </>
      )}
    </Box>
  );
}

const NOT_PINNED: readonly number[] = [];

/** The title of the lower half. */
function subject({ label, vcpu }: VcpuRow, pinning: readonly number[]): string {
  if (label === 'all') return 'all vCPUs';
  const pinned = pinning[vcpu.index];
  return pinned === undefined ? `vCPU ${label}` : `vCPU ${label}, pinned to CPU ${pinned}`;
}

function cellsOf(row: VcpuRow, labels: readonly VcpuLabel[], history: string): Cells {
  const { label, vcpu } = row;
  const answer = percentiles(vcpu.latency);
  return {
    vcpu: label,
    state: vcpuStateText(row, labels),
    guest: percent(vcpu.time.guest),
    kvm: percent(vcpu.time.kvm),
    devices: percent(vcpu.time.devices),
    exits: rate(vcpu.exitsPerSecond),
    p50: answer === null ? '-' : nanoseconds(answer.p50Ns),
    p99: answer === null ? '-' : nanoseconds(answer.p99Ns),
    cpu: vcpu.hostCpu === null ? '' : String(vcpu.hostCpu),
    thread: vcpu.thread === null ? '' : String(vcpu.thread),
    history,
  };
}

/** The graph of its exits; empty if the column is hidden. */
function historyOf(
  { label }: VcpuRow,
  histories: Readonly<Record<string, readonly number[]>>,
  layout: ColumnLayout,
  { top }: Scale,
  { levels }: Glyphs,
): string {
  const cells = layout.find(({ key }) => key === 'history')?.cells ?? 0;
  return sparkline(histories[label] ?? [], cells, levels, top);
}
