import { isAlive, type LogEntry } from '../engine/vm-info.ts';
import type { AppState } from '../store/app-store.ts';
import { type Sort, sorted } from '../store/sort.ts';
import { own } from '../text/own.ts';
import type { Alarm } from './alarms.ts';
import { fieldNamed } from './list-columns.ts';
import { memoized } from './memoized.ts';
import { VM_CPU, VM_EXITS, VM_NAME, VM_READ, VM_REQUESTS, VM_WRITE, type VmColumn } from './vm-columns.ts';

/** The number of busiest VMs and latest events, which can be scrolled. */
const TOP_VMS = 10;
const RECENT_EVENTS = 20;

/** The sort columns for the busiest VMs. */
export const TOP_COLUMNS: readonly VmColumn[] = [
  { ...VM_NAME, title: 'BUSIEST VMS' },
  VM_CPU,
  VM_EXITS,
  { ...VM_REQUESTS, priority: 1 },
  VM_READ,
  VM_WRITE,
];
export const TOP_FIRST: Sort = { column: VM_CPU.key, descending: true };

/** A row of the overview that the cursor can be on. */
export type OverviewRow =
  | { readonly kind: 'alarm'; readonly key: string; readonly alarm: Alarm }
  | { readonly kind: 'vm'; readonly key: string; readonly id: string }
  | { readonly kind: 'event'; readonly key: string; readonly entry: LogEntry };

/** The VM that a row is about; null if none. */
export function vmOfRow(row: OverviewRow): string | null {
  switch (row.kind) {
    case 'alarm':
      return row.alarm.vm;
    case 'vm':
      return row.id;
    case 'event':
      return row.entry.vm;
  }
}

export function createOverviewSelectors(alarms: (state: AppState) => readonly Alarm[]) {
  /** Ids of the running VMs, the busiest first. */
  const topVms = memoized(
    state => [state.order, state.infos, state.totals, state.sorts.overview] as const,
    (order, infos, totals, sort = TOP_FIRST) => {
      const value = fieldNamed(TOP_COLUMNS, sort.column)?.value;
      const alive = order.filter(id => isAlive(infos[id]!));
      if (value === undefined) return alive.slice(0, TOP_VMS);
      const row = (id: string) => ({ vm: infos[id]!, totals: own(totals, id), now: 0 });
      return sorted(alive, id => value(row(id)), sort.descending).slice(0, TOP_VMS);
    },
  );
  /** The newest first. */
  const recentEvents = memoized(
    state => [state.log] as const,
    log => log.slice(-RECENT_EVENTS).toReversed(),
  );
  const overviewRows = memoized(
    state => [alarms(state), topVms(state), recentEvents(state)] as const,
    (alarms, vms, events): readonly OverviewRow[] => [
      ...alarms.map(alarm => ({ kind: 'alarm' as const, key: `alarm ${alarm.key}`, alarm })),
      ...vms.map(id => ({ kind: 'vm' as const, key: `vm ${id}`, id })),
      ...events.map(entry => ({ kind: 'event' as const, key: `event ${entry.number}`, entry })),
    ],
  );
  /** The cursor's index among all rows; -1 if there are none. */
  const overviewRow = (state: AppState): number => {
    const rows = overviewRows(state);
    const cursor = state.overviewCursor;
    if (cursor === null) return rows.length === 0 ? -1 : 0;
    const at = rows.findIndex(({ key }) => key === cursor.key);
    return at >= 0 ? at : Math.min(cursor.index, rows.length - 1);
  };
  return { topVms, recentEvents, overviewRows, overviewRow };
}

/** The number of lines in each of the overview's tables, given the total; each title takes one. */
export function overviewTables(rows: number, alarms: number, vms: number) {
  const alarmRows = Math.min(rows, 1 + Math.min(alarms, Math.max(1, Math.floor(rows / 3) - 1)));
  const left = rows - alarmRows;
  const topRows = Math.min(1 + Math.max(1, vms), Math.ceil(left * 0.6));
  const eventRows = left - topRows;
  return eventRows < 2 ? { alarmRows, topRows: left, eventRows: 0 } : { alarmRows, topRows, eventRows };
}
