import { Box } from 'ink';
import { useMemo } from 'react';
import { useAppState } from '../../components/contexts.ts';
import { FactLines } from '../../components/fact-lines.tsx';
import { Section } from '../../components/section.tsx';
import { Table, TableRow } from '../../components/table/table.tsx';
import { vmViewOf } from '../../store/vm-view-slice.ts';
import { own } from '../../text/own.ts';
import { factLines } from '../../view/facts.ts';
import { cellsOf } from '../../view/list-columns.ts';
import { SNAPSHOT_COLUMNS, shownSnapshots, snapshotFacts, titleOf } from '../../view/snapshot-rows.ts';
import { layoutColumns } from '../../view/table-columns.ts';
import { describeTask, TASK_TITLES } from '../../view/vm-task.ts';
import { listAndDetails } from './list-and-details.ts';
import type { PaneProps } from './pane-props.ts';

/** The VM's snapshots and its saved state; above them the task in progress, below them the one under the cursor. */
export function SnapshotsTab({ id, size }: PaneProps) {
  const snapshots = useAppState(state => state.snapshots);
  const listed = useAppState(state => shownSnapshots(state, id));
  const cursor = useAppState(state => vmViewOf(state, id).cursors.snapshots);
  const task = useAppState(state => own(state.infos, id)?.task);
  const now = useAppState(state => state.sampledAt) || Date.now();
  const rows = useMemo(() => listed.map(info => ({ info, now })), [listed, now]);
  const layout = useMemo(() => layoutColumns(SNAPSHOT_COLUMNS, size.columns), [size.columns]);
  const taskRows = task === undefined ? 0 : 1;
  const room = { columns: size.columns, rows: size.rows - taskRows };
  const { list, details } = listAndDetails(room, rows.length);
  const row = rows[Math.min(cursor, rows.length - 1)];
  const empty =
    snapshots === null
      ? 'Reading the list'
      : (snapshots.problem ?? 'No snapshots; W takes one, J saves the VM and ends it');
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      {task !== undefined && (
        <Section
          title={`${TASK_TITLES[task.kind]}${task.name === null ? '' : ` ${task.name}`}: ${describeTask(task)}; W cancels`}
          columns={size.columns}
        />
      )}
      <Table
        layout={layout}
        rows={rows}
        height={list.rows}
        cursor={cursor}
        focused
        empty={empty}
        renderRow={(row, selected) => (
          <TableRow
            key={row.info.name ?? ''}
            layout={layout}
            selected={selected}
            cells={cellsOf(layout, row)}
          />
        )}
      />
      {details && row && (
        <Box flexDirection="column" height={details.rows} overflow="hidden">
          <Section title={titleOf(row.info)} columns={details.columns} />
          <FactLines
            lines={factLines(snapshotFacts(row), details.columns - 1)}
            columns={details.columns}
            rows={details.rows - 1}
          />
        </Box>
      )}
    </Box>
  );
}
