import { useMemo } from 'react';
import { useAppState, useUi } from '../components/contexts.ts';
import { Table, TableRow } from '../components/table/table.tsx';
import { filterOf } from '../store/list-slice.ts';
import type { Size } from '../store/ui-slice.ts';
import { cellsOf } from '../view/list-columns.ts';
import { QUEUE_COLUMNS } from '../view/queue-rows.ts';
import { layoutColumns } from '../view/table-columns.ts';
import { noMatchText } from '../view/unknown-columns.ts';

/** The virtqueues of all running VMs. */
export function QueuesScreen({ size }: { size: Size }) {
  const { select } = useUi();
  const rows = useAppState(select.visibleQueues);
  const cursor = useAppState(select.queueRow);
  const sort = useAppState(state => state.sorts.queues);
  const sampled = useAppState(state => state.queues !== null);
  const filter = useAppState(state => filterOf(state, 'queues'));
  const layout = useMemo(() => layoutColumns(QUEUE_COLUMNS, size.columns), [size.columns]);
  const empty = sampled ? 'No VM that runs has virtqueues' : 'Waiting for a sample';
  return (
    <Table
      layout={layout}
      rows={rows}
      height={size.rows}
      cursor={cursor}
      focused
      sort={sort}
      empty={filter === '' ? empty : noMatchText('queues', filter, 'No queue')}
      renderRow={(row, selected) => (
        <TableRow key={row.key} layout={layout} selected={selected} cells={cellsOf(layout, row)} />
      )}
    />
  );
}
