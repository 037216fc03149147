import { memo, useMemo } from 'react';
import { useShallow } from 'zustand/react/shallow';
import { useAppState, useUi } from '../../components/contexts.ts';
import { Table, TableRow } from '../../components/table/table.tsx';
import type { Size } from '../../store/ui-slice.ts';
import type { Alarm } from '../../view/alarms.ts';
import { type Cell, cellsOf, type ListColumn } from '../../view/list-columns.ts';
import { LOG_COLUMNS } from '../../view/log-rows.ts';
import { TOP_COLUMNS, TOP_FIRST } from '../../view/overview-rows.ts';
import { type ColumnLayout, layoutColumns } from '../../view/table-columns.ts';
import { type VmColumn, vmListed } from '../../view/vm-columns.ts';

type TableProps = { readonly size: Size };

/** The overview's cursor as a row of a table with `above` rows above it; not focused if it is in another table. */
function useCursor(above: number, length: number): { cursor: number; focused: boolean } {
  const { select } = useUi();
  const row = useAppState(select.overviewRow) - above;
  const focused = row >= 0 && row < length;
  return { cursor: focused ? row : 0, focused };
}

const ALARM_CELLS: Readonly<Record<Alarm['level'], Cell>> = {
  error: { text: 'x', token: 'status.error' },
  warning: { text: '!', token: 'status.warning' },
};

const ALARM_COLUMNS: readonly ListColumn<Alarm>[] = [
  { key: 'level', title: '', min: 1, cell: ({ level }) => ALARM_CELLS[level] },
  { key: 'text', title: '', min: 20, grow: 1, cell: ({ text }) => text },
];

/** What needs attention. */
export function Alarms({ size }: TableProps) {
  const { select } = useUi();
  const alarms = useAppState(select.alarms);
  const { length } = alarms;
  const title = length === 0 ? 'No alarms' : `${length} alarm${length === 1 ? '' : 's'}`;
  const layout = layoutColumns(
    ALARM_COLUMNS.map(column => (column.key === 'text' ? { ...column, title } : column)),
    size.columns,
  );
  return (
    <Table
      layout={layout}
      rows={alarms}
      height={size.rows}
      {...useCursor(0, length)}
      renderRow={(alarm, selected) => (
        <TableRow key={alarm.key} layout={layout} selected={selected} cells={cellsOf(layout, alarm)} />
      )}
    />
  );
}

/** The VMs that use the host the most. */
export function BusiestVms({ size }: TableProps) {
  const { select } = useUi();
  const vms = useAppState(select.topVms);
  const above = useAppState(select.alarms).length;
  const sort = useAppState(state => state.sorts.overview ?? TOP_FIRST);
  const layout = useMemo(() => layoutColumns(TOP_COLUMNS, size.columns), [size.columns]);
  return (
    <Table
      layout={layout}
      rows={vms}
      height={size.rows}
      sort={sort}
      empty="None is running"
      {...useCursor(above, vms.length)}
      renderRow={(id, selected) => <VmRow key={id} id={id} layout={layout} selected={selected} />}
    />
  );
}

type VmRowProps = {
  readonly id: string;
  readonly layout: ColumnLayout<VmColumn>;
  readonly selected: boolean;
};

const VmRow = memo(function VmRow({ id, layout, selected }: VmRowProps) {
  const listed = useAppState(useShallow(state => vmListed(state, id)));
  if (listed.vm === undefined) return null;
  return <TableRow layout={layout} selected={selected} cells={cellsOf(layout, listed)} />;
});

/** What has happened, newest first. */
export function RecentEvents({ size }: TableProps) {
  const { select } = useUi();
  const events = useAppState(select.recentEvents);
  const above = useAppState(state => select.alarms(state).length + select.topVms(state).length);
  const layout = useMemo(
    () =>
      layoutColumns(
        LOG_COLUMNS.map(column => (column.key === 'text' ? { ...column, title: 'RECENT EVENTS' } : column)),
        size.columns,
      ),
    [size.columns],
  );
  return (
    <Table
      layout={layout}
      rows={events}
      height={size.rows}
      empty="None yet"
      {...useCursor(above, events.length)}
      renderRow={(entry, selected) => (
        <TableRow key={entry.number} layout={layout} selected={selected} cells={cellsOf(layout, entry)} />
      )}
    />
  );
}
