import { memo } from 'react';
import { useAppState, useUi } from '../../components/contexts.ts';
import { TableRow } from '../../components/table/table.tsx';
import type { Finding } from '../../host/doctor/finding.ts';
import type { Size } from '../../store/ui-slice.ts';
import type { Fact } from '../../view/facts.ts';
import { DOCTOR_COLUMNS, findingCell } from '../../view/host-columns.ts';
import type { DoctorRow } from '../../view/host-rows.ts';
import { cellsOf } from '../../view/list-columns.ts';
import type { ColumnLayout } from '../../view/table-columns.ts';
import { ListView } from './list-view.tsx';

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
      renderRow={(row, layout, selected) => (
        <Row key={row.key} row={row} layout={layout} selected={selected} />
      )}
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

type RowProps = {
  readonly row: DoctorRow;
  readonly layout: ColumnLayout<(typeof DOCTOR_COLUMNS)[number]>;
  readonly selected: boolean;
};

const Row = memo(function Row({ row, layout, selected }: RowProps) {
  const { hostSelect } = useUi();
  const host = useAppState(hostSelect.view);
  return host === null ? null : (
    <TableRow layout={layout} cells={cellsOf(layout, { host, row })} selected={selected} />
  );
});
