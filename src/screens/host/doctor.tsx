import { useAppState, useUi } from '../../components/contexts.ts';
import type { Finding } from '../../host/doctor/finding.ts';
import type { Size } from '../../store/ui-slice.ts';
import type { Fact } from '../../view/facts.ts';
import { DOCTOR_COLUMNS, findingCell } from '../../view/host-columns.ts';
import type { DoctorRow } from '../../view/host-rows.ts';
import { type Cells, cellsOf } from '../../view/list-columns.ts';
import type { ColumnLayout } from '../../view/table-columns.ts';
import { ListView, type RowContext } from './list-view.tsx';

/** What keeps guests on this host from running well or from getting devices, and how to fix it. */
export function DoctorScreen({ size }: { size: Size }) {
  const { hostSelect } = useUi();
  const rows = useAppState(hostSelect.doctor);
  const row = useAppState(hostSelect.rowAtCursor) as DoctorRow | null;
  return (
    <ListView
      list="doctor"
      details="here"
      size={size}
      columns={DOCTOR_COLUMNS}
      rows={rows}
      empty="The host could not be examined"
      title={row?.finding.id ?? ''}
      facts={row === null ? [] : findingFacts(row.finding)}
      cells={rowCells}
    />
  );
}

export function findingFacts(finding: Finding): Fact[] {
  const { title, why, repair } = finding;
  return [
    { name: 'Finding', texts: [title], token: findingCell(finding).token },
    { name: 'Why', texts: [why] },
    { name: 'Fix', texts: repair.length === 0 ? ['nothing'] : repair },
  ];
}

function rowCells(
  row: DoctorRow,
  layout: ColumnLayout<(typeof DOCTOR_COLUMNS)[number]>,
  { host }: RowContext,
): Cells {
  return cellsOf(layout, { host, row });
}
