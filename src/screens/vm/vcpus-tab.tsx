import { Box } from 'ink';
import { useAppState, useTheme } from '../../components/contexts.ts';
import { HistogramBars } from '../../components/histogram-bars.tsx';
import { Section } from '../../components/section.tsx';
import { sparkline } from '../../components/sparkline.ts';
import { type Cells, Table, TableRow } from '../../components/table/table.tsx';
import { percentiles } from '../../engine/sampling/histogram.ts';
import { vcpuStateName } from '../../engine/sampling/names.ts';
import { type VcpuRow, vcpuAt, vcpuRows } from '../../store/vcpu-rows.ts';
import { vmViewOf } from '../../store/vm-view-slice.ts';
import { nanoseconds, percent, rate } from '../../text/units.ts';
import type { Glyphs } from '../../theme/glyphs.ts';
import { type Column, layoutColumns } from '../../view/table-columns.ts';
import { ExitsPane } from './exits-pane.tsx';
import { listAndDetails } from './list-and-details.ts';
import type { PaneProps } from './pane-props.ts';

const COLUMNS: readonly Column[] = [
  { key: 'vcpu', title: 'vCPU', width: 4 },
  { key: 'state', title: 'STATE', width: 7 },
  { key: 'guest', title: 'GUEST', width: 5, align: 'right' },
  { key: 'kvm', title: 'KVM', width: 5, align: 'right' },
  { key: 'devices', title: 'DEV', width: 5, align: 'right' },
  { key: 'exits', title: 'EXITS/s', width: 7, align: 'right' },
  { key: 'p50', title: 'P50', width: 6, align: 'right', priority: 1 },
  { key: 'p99', title: 'P99', width: 6, align: 'right', priority: 1 },
  { key: 'cpu', title: 'CPU', width: 4, align: 'right', priority: 2 },
  { key: 'thread', title: 'THREAD', width: 8, align: 'right', priority: 2 },
  { key: 'history', title: 'EXITS/s', width: 10, priority: 3, grow: 1 },
];

/** Each vCPU's time and exits; below, for the one under the cursor, exits by reason and how long they take. */
export function VcpusTab({ id, size }: PaneProps) {
  const { glyphs } = useTheme();
  const rates = useAppState(state => (state.detail?.id === id ? state.detail.rates : null));
  const histories = useAppState(state => state.detailHistory.vcpus);
  const pinning = useAppState(state => state.infos[id]?.topology?.pinning ?? NOT_PINNED);
  const cursor = useAppState(state => vmViewOf(state, id).cursors.vcpus);
  const rows = rates === null ? [] : vcpuRows(rates);
  const { list, details } = listAndDetails(size, rows.length);
  const layout = layoutColumns(COLUMNS, list.columns);
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
        empty="No sample"
        renderRow={(row, selected) => (
          <TableRow
            key={row.label}
            layout={layout}
            selected={selected}
            cells={cellsOf(row, histories[row.label] ?? [], layout.at(-1)!.cells, glyphs)}
          />
        )}
      />
      {details && at && (
        <>
          <Section
            title={`${subject(at, pinning)}: exits, and the time to their answer`}
            columns={size.columns}
          />
          <Box columnGap={1}>
            <ExitsPane id={id} size={{ columns: half, rows: details.rows - 1 }} />
            <HistogramBars
              counts={at.vcpu.latency}
              size={{ columns: size.columns - half - 1, rows: details.rows - 1 }}
              empty="no exits answered"
            />
          </Box>
        </>
      )}
    </Box>
  );
}

const NOT_PINNED: readonly number[] = [];

/** What the lower half is about. */
function subject({ label, vcpu }: VcpuRow, pinning: readonly number[]): string {
  if (label === 'all') return 'all vCPUs';
  const pinned = pinning[vcpu.index];
  return pinned === undefined ? `vCPU ${label}` : `vCPU ${label}, pinned to CPU ${pinned}`;
}

function cellsOf(
  { label, vcpu }: VcpuRow,
  history: readonly number[],
  historyCells: number,
  { levels }: Glyphs,
): Cells {
  const answer = percentiles(vcpu.latency);
  return {
    vcpu: label,
    state: vcpuStateName(vcpu.state),
    guest: percent(vcpu.time.guest),
    kvm: percent(vcpu.time.kvm),
    devices: percent(vcpu.time.devices),
    exits: rate(vcpu.exitsPerSecond),
    p50: answer === null ? '-' : nanoseconds(answer.p50Ns),
    p99: answer === null ? '-' : nanoseconds(answer.p99Ns),
    cpu: vcpu.hostCpu === null ? '' : String(vcpu.hostCpu),
    thread: vcpu.thread === null ? '' : String(vcpu.thread),
    history: sparkline(history, historyCells, levels),
  };
}
