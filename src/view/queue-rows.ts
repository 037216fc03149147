import type { QueueLoad } from '../engine/sampling/queue-load.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { filterOf } from '../store/list-slice.ts';
import { sorted } from '../store/sort.ts';
import { own } from '../text/own.ts';
import { bytes, nanoseconds, rate } from '../text/units.ts';
import { rowFilter, searched } from './filter.ts';
import { fieldNamed, type ListColumn } from './list-columns.ts';
import { rowOfCursor } from './list-rows.ts';
import { memoized } from './memoized.ts';

/** A virtqueue of any VM. */
export type QueueRow = {
  readonly key: string;
  /** The VM's id. */
  readonly vm: string;
  /** The number of its counter block in the VM. */
  readonly slot: number;
  readonly device: string;
  readonly queue: string;
  readonly type: string;
  readonly size: number;
  /** Its device no longer serves the driver. */
  readonly broken: boolean;
  /** The host's disk fails requests of the device. */
  readonly failing: boolean;
  readonly load: QueueLoad;
};

type QueueColumn = ListColumn<QueueRow>;

/** A column with a rate, or another number that may be missing. */
function number(
  key: keyof QueueLoad,
  text: (value: number) => string,
  unit: 'count' | 'bytes' | 'nanoseconds' = 'count',
): Pick<QueueColumn, 'align' | 'cell' | 'value' | 'unit'> {
  return {
    align: 'right',
    unit,
    cell: ({ load }) => (load[key] === null ? '-' : text(load[key])),
    value: ({ load }) => load[key],
  };
}

/** The columns of the list of queues. */
export const QUEUE_COLUMNS: readonly QueueColumn[] = [
  {
    key: 'vm',
    names: ['name'],
    title: 'VM',
    min: 12,
    ideal: 24,
    grow: 1,
    cut: 'middle',
    letter: 'n',
    cell: ({ vm }) => vm,
    value: ({ vm }) => vm,
  },
  {
    key: 'queue',
    names: ['device', 'dev'],
    title: 'QUEUE',
    min: 13,
    ideal: 16,
    cut: 'middle',
    letter: 'v',
    cell: ({ device, queue, broken, failing }) => {
      if (broken) return { text: `${device} BROKEN`, token: 'status.error' };
      return failing ? { text: `${device} ! ${queue}`, token: 'status.error' } : `${device} ${queue}`;
    },
    value: ({ device, slot }) => `${device} ${slot}`,
  },
  {
    key: 'type',
    title: 'TYPE',
    min: 10,
    priority: 6,
    letter: 't',
    cell: ({ type }) => type,
    value: ({ type }) => type,
  },
  { key: 'req', names: ['requests'], title: 'REQ/s', min: 6, letter: 'r', ...number('requests', rate) },
  {
    key: 'kicks',
    title: 'KICKS/s',
    min: 7,
    priority: 2,
    letter: 'k',
    ...number('kicks', rate),
  },
  {
    key: 'irqs',
    names: ['irq', 'interrupts'],
    title: 'IRQ/s',
    min: 6,
    priority: 3,
    letter: 'i',
    ...number('interrupts', rate),
  },
  { key: 'depth', title: 'DEPTH', min: 5, letter: 'd', ...number('depth', mean) },
  {
    key: 'p50',
    title: 'P50',
    min: 6,
    priority: 1,
    letter: '5',
    ...number('p50Ns', nanoseconds, 'nanoseconds'),
  },
  { key: 'p99', title: 'P99', min: 6, letter: '9', ...number('p99Ns', nanoseconds, 'nanoseconds') },
  {
    key: 'in',
    title: 'IN/s',
    min: 7,
    priority: 4,
    letter: 'b',
    ...number('bytesToGuest', bytes, 'bytes'),
  },
  {
    key: 'out',
    title: 'OUT/s',
    min: 7,
    priority: 4,
    letter: 'w',
    ...number('bytesFromGuest', bytes, 'bytes'),
  },
  {
    key: 'errors',
    names: ['err'],
    title: 'ERR/s',
    min: 5,
    priority: 5,
    letter: 'e',
    ...number('errors', rate),
    cell: ({ load: { errors } }) => (errors > 0 ? { text: rate(errors), token: 'status.error' } : '0'),
  },
  {
    key: 'size',
    title: 'SIZE',
    min: 5,
    align: 'right',
    priority: 7,
    letter: 's',
    unit: 'count',
    cell: ({ size }) => String(size),
    value: ({ size }) => size,
  },
];

/** The mean number of requests in flight. */
function mean(value: number): string {
  return value < 9.95 ? value.toFixed(1) : value.toFixed(0);
}

/** Creates the row and cursor selectors of the queue list. */
export function createQueueSelectors() {
  const allQueues = memoized(
    state => [state.order, state.infos, state.queues] as const,
    (order, infos, queues): readonly QueueRow[] =>
      order.flatMap(id => rowsOf(infos[id]!, own(queues?.byVm ?? {}, id) ?? [])),
  );
  /** The searchable text of each, built once for each sample. */
  const searchable = memoized(
    state => [allQueues(state)] as const,
    rows => rows.map(row => searched(row, QUEUE_COLUMNS)),
  );
  const filtered = memoized(
    state => [searchable(state), filterOf(state, 'queues')] as const,
    (rows, filter) => rows.filter(rowFilter(filter, QUEUE_COLUMNS).matches).map(({ row }) => row),
  );
  const visibleQueues = memoized(
    state => {
      const rows = filterOf(state, 'queues').trim() === '' ? allQueues(state) : filtered(state);
      return [rows, state.sorts.queues] as const;
    },
    (rows, sort) => {
      const value = sort && fieldNamed(QUEUE_COLUMNS, sort.column)?.value;
      return value ? sorted(rows, value, sort.descending) : rows;
    },
  );
  const queueRow = memoized(
    state => [visibleQueues(state), state.queueCursor] as const,
    (rows, cursor) => rowOfCursor(rows, cursor),
  );
  return { allQueues, visibleQueues, queueRow };
}

function rowsOf({ id, topology, broken, diskErrors = {} }: VmInfo, loads: readonly QueueLoad[]): QueueRow[] {
  const labels = new Map(topology?.queues.map(label => [label.id, label]));
  return loads.flatMap(load => {
    const label = labels.get(load.id);
    if (label === undefined) return [];
    const trouble = { broken: label.device in broken, failing: label.device in diskErrors };
    return [{ key: `${id} ${load.id}`, vm: id, ...label, ...trouble, load }];
  });
}
