import { memo } from 'react';
import { useAppState, useUi } from '../../components/contexts.ts';
import { TableRow } from '../../components/table/table.tsx';
import type { Finding } from '../../host/doctor/finding.ts';
import type { Size } from '../../store/ui-slice.ts';
import type { Token } from '../../theme/tokens.ts';
import type { Fact } from '../../view/facts.ts';
import type { DoctorRow } from '../../view/host-doctor-rows.ts';
import type { Column, ColumnLayout } from '../../view/table-columns.ts';
import { ListView } from './list-view.tsx';

const COLUMNS: readonly Column[] = [
  { key: 'state', title: 'STATE', width: 5 },
  { key: 'area', title: 'AREA', width: 9 },
  { key: 'title', title: 'FINDING', width: 20, grow: 1 },
];

/** What on this host keeps guests from running well, or from having devices, and how to mend it. */
export function DoctorScreen({ size }: { size: Size }) {
  const { hostSelect } = useUi();
  const rows = useAppState(hostSelect.doctor);
  const row = useAppState(hostSelect.rowAtCursor) as DoctorRow | null;
  return (
    <ListView
      list="doctor"
      details="here"
      size={size}
      columns={COLUMNS}
      rows={rows}
      empty="The host could not be examined"
      title={row?.finding.id ?? ''}
      facts={row === null ? [] : findingFacts(row.finding)}
      renderRow={(row, layout, selected) => (
        <Row key={row.key} finding={row.finding} layout={layout} selected={selected} />
      )}
    />
  );
}

export function findingFacts({ title, state, why, repair }: Finding): Fact[] {
  return [
    { name: 'Finding', texts: [title], token: stateTokens[state] },
    { name: 'Why', texts: [why] },
    { name: 'To do', texts: repair.length === 0 ? ['nothing'] : repair },
  ];
}

const stateTokens: Readonly<Record<Finding['state'], Token>> = {
  ok: 'status.ok',
  warn: 'status.warning',
  fail: 'status.error',
  info: 'text.secondary',
};

type RowProps = { readonly finding: Finding; readonly layout: ColumnLayout; readonly selected: boolean };

const Row = memo(function Row({ finding: { state, area, title }, layout, selected }: RowProps) {
  return (
    <TableRow
      layout={layout}
      cells={{ state: { text: state, token: stateTokens[state] }, area, title }}
      selected={selected}
    />
  );
});
