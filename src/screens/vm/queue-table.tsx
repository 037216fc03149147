import { useAppState } from '../../components/contexts.ts';
import { Table, TableRow } from '../../components/table/table.tsx';
import { percentiles } from '../../engine/sampling/histogram.ts';
import type { QueueRates } from '../../engine/sampling/rates.ts';
import type { Size } from '../../store/ui-slice.ts';
import { own } from '../../text/own.ts';
import { bytes, count, nanoseconds, rate } from '../../text/units.ts';
import type { Cells } from '../../view/list-columns.ts';
import { type Column, layoutColumns } from '../../view/table-columns.ts';
import { useEmptyText } from './empty-text.ts';

const COLUMNS: readonly Column[] = [
  { key: 'queue', title: 'QUEUE', min: 14, grow: 1, cut: 'middle' },
  { key: 'requests', title: 'REQ/s', min: 6, align: 'right' },
  { key: 'kicks', title: 'KICKS/s', min: 7, align: 'right' },
  { key: 'kicksSuppressed', title: 'SUPPR', min: 5, align: 'right', priority: 2 },
  { key: 'interrupts', title: 'IRQ/s', min: 6, align: 'right' },
  { key: 'interruptsSuppressed', title: 'SUPPR', min: 5, align: 'right', priority: 2 },
  { key: 'inFlight', title: 'DEPTH', min: 5, align: 'right' },
  { key: 'batch', title: 'BATCH', min: 5, align: 'right', priority: 3 },
  { key: 'p50', title: 'P50', min: 6, align: 'right', priority: 1 },
  { key: 'p99', title: 'P99', min: 6, align: 'right', priority: 1 },
  { key: 'errors', title: 'ERR/s', min: 5, align: 'right', priority: 4 },
  { key: 'toGuest', title: 'IN/s', min: 7, align: 'right', priority: 5 },
  { key: 'fromGuest', title: 'OUT/s', min: 7, align: 'right', priority: 5 },
  { key: 'size', title: 'SIZE', min: 5, align: 'right', priority: 6 },
  { key: 'total', title: 'TOTAL', min: 7, align: 'right', priority: 6 },
];

const NONE: readonly QueueRates[] = [];
const NO_TROUBLE = {};
const NONE_TEXT = 'No virtqueues';

type QueueTableProps = {
  /** The VM's ID. */
  readonly id: string;
  readonly size: Size;
  /** Row of the cursor; null if it is not in this table. */
  readonly cursor: number | null;
};

/** The virtqueues of a VM. */
export function QueueTable({ id, size, cursor }: QueueTableProps) {
  const queues = useAppState(state => (state.detail?.id === id ? state.detail.rates.queues : NONE));
  const broken = useAppState(state => own(state.infos, id)?.broken ?? NO_TROUBLE);
  const failing = useAppState(state => own(state.infos, id)?.diskErrors ?? NO_TROUBLE);
  const empty = useEmptyText(id, NONE_TEXT);
  const layout = layoutColumns(COLUMNS, size.columns);
  return (
    <Table
      layout={layout}
      rows={queues}
      height={size.rows}
      cursor={cursor ?? 0}
      focused={cursor !== null}
      empty={cursor === null ? NONE_TEXT : empty}
      renderRow={(queue, selected) => (
        <TableRow
          key={queue.id}
          layout={layout}
          selected={selected}
          cells={cellsOf(queue, queue.device in broken, queue.device in failing)}
        />
      )}
    />
  );
}

function cellsOf(queue: QueueRates, broken: boolean, failing: boolean): Cells {
  const latency = percentiles(queue.latency);
  return {
    queue: broken
      ? { text: `${queue.device} BROKEN`, token: 'status.error' }
      : failing
        ? { text: `${queue.device} ! ${queue.queue}`, token: 'status.error' }
        : `${queue.device} ${queue.queue}`,
    requests: rate(queue.requests),
    kicks: rate(queue.kicks),
    kicksSuppressed: rate(queue.kicksSuppressed),
    interrupts: rate(queue.interrupts),
    interruptsSuppressed: rate(queue.interruptsSuppressed),
    inFlight: String(queue.inFlight),
    batch: queue.batch === null ? '-' : queue.batch.toFixed(1),
    p50: latency === null ? '-' : nanoseconds(latency.p50Ns),
    p99: latency === null ? '-' : nanoseconds(latency.p99Ns),
    errors: queue.errors > 0 ? { text: rate(queue.errors), token: 'status.error' } : '0',
    toGuest: bytes(queue.bytesToGuest),
    fromGuest: bytes(queue.bytesFromGuest),
    size: String(queue.size),
    total: count(queue.totalRequests),
  };
}
