import { Box } from 'ink';
import { useAppState } from '../components/contexts.ts';
import { type Column, layoutColumns } from '../components/table/columns.ts';
import { type Cells, Table, TableRow } from '../components/table/table.tsx';
import { percentiles } from '../engine/sampling/histogram.ts';
import type { QueueRates } from '../engine/sampling/rates.ts';
import { bytes, count, nanoseconds, rate } from '../text/units.ts';
import type { PaneProps } from './pane-props.ts';

const COLUMNS: readonly Column[] = [
  { key: 'queue', title: 'QUEUE', width: 12, grow: 1 },
  { key: 'kicks', title: 'KICKS/s', width: 7, align: 'right' },
  { key: 'interrupts', title: 'IRQ/s', width: 6, align: 'right' },
  { key: 'suppressed', title: 'SUPPR/s', width: 7, align: 'right', priority: 4 },
  { key: 'requests', title: 'REQ/s', width: 6, align: 'right' },
  { key: 'toGuest', title: 'IN/s', width: 7, align: 'right', priority: 1 },
  { key: 'fromGuest', title: 'OUT/s', width: 7, align: 'right', priority: 1 },
  { key: 'inFlight', title: 'FLY', width: 4, align: 'right' },
  { key: 'p50', title: 'P50', width: 6, align: 'right', priority: 2 },
  { key: 'p99', title: 'P99', width: 6, align: 'right', priority: 2 },
  { key: 'errors', title: 'ERR/s', width: 5, align: 'right', priority: 3 },
  { key: 'batch', title: 'BATCH', width: 5, align: 'right', priority: 5 },
  { key: 'total', title: 'TOTAL', width: 7, align: 'right', priority: 5 },
];

/** The virtqueues. */
export function QueuesPane({ id, size, focused }: PaneProps) {
  const rates = useAppState(state => (state.detail?.id === id ? state.detail.rates : null));
  const cursor = useAppState(state => state.cursors.queues);
  const broken = useAppState(state => state.infos[id]?.broken ?? NONE_BROKEN);
  const layout = layoutColumns(COLUMNS, size.columns);
  return (
    <Box width={size.columns} height={size.rows}>
      <Table
        layout={layout}
        rows={rates?.queues ?? []}
        height={size.rows}
        cursor={cursor}
        focused={focused}
        pane
        empty="No virtqueues"
        renderRow={(queue, selected) => (
          <TableRow
            key={queue.slot}
            layout={layout}
            selected={selected}
            cells={cellsOf(queue, queue.device in broken)}
          />
        )}
      />
    </Box>
  );
}

const NONE_BROKEN = {};

function cellsOf(queue: QueueRates, broken: boolean): Cells {
  const latency = percentiles(queue.latency);
  return {
    queue: broken
      ? { text: `${queue.device} BROKEN`, token: 'status.error' }
      : `${queue.device} ${queue.queue}`,
    kicks: rate(queue.kicks),
    interrupts: rate(queue.interrupts),
    suppressed: rate(queue.interruptsSuppressed),
    requests: rate(queue.requests),
    toGuest: bytes(queue.bytesToGuest),
    fromGuest: bytes(queue.bytesFromGuest),
    inFlight: String(queue.inFlight),
    p50: latency === null ? '-' : nanoseconds(latency.p50Ns),
    p99: latency === null ? '-' : nanoseconds(latency.p99Ns),
    errors: queue.errors > 0 ? { text: rate(queue.errors), token: 'status.error' } : '0',
    batch: queue.batch === null ? '-' : queue.batch.toFixed(1),
    total: count(queue.totalRequests),
  };
}
