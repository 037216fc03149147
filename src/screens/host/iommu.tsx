import { memo, useMemo } from 'react';
import { useAppState, useTheme, useUi } from '../../components/contexts.ts';
import { type Cell, type Cells, TableRow } from '../../components/table/table.tsx';
import type { IommuGroup } from '../../host/iommu/groups.ts';
import type { Size } from '../../store/ui-slice.ts';
import type { Glyphs } from '../../theme/glyphs.ts';
import { classWord } from '../../view/host-class-words.ts';
import { groupFacts } from '../../view/host-facts.ts';
import type { GroupRow } from '../../view/host-iommu-rows.ts';
import type { Column, ColumnLayout } from '../../view/table-columns.ts';
import { driverCell, hostUseCell, markCell, shortAddress } from './cells.ts';
import { ListView } from './list-view.tsx';

const COLUMNS: readonly Column[] = [
  { key: 'mark', title: '', width: 1 },
  { key: 'group', title: 'GRP', width: 6, align: 'right' },
  { key: 'address', title: 'ADDRESS', width: 12 },
  { key: 'class', title: 'KIND', width: 7, priority: 2 },
  { key: 'device', title: 'DEVICE', width: 14, grow: 3 },
  { key: 'driver', title: 'DRIVER', width: 10 },
  { key: 'isolation', title: 'ISOLATION', width: 9, priority: 1 },
  { key: 'use', title: 'HOST USE', width: 12, grow: 2, priority: 3 },
];

/** The IOMMU groups with their members: what can only be given to a guest together. */
export function IommuScreen({ size }: { size: Size }) {
  const { hostSelect } = useUi();
  const rows = useAppState(hostSelect.iommu);
  const row = useAppState(hostSelect.rowAtCursor) as GroupRow | null;
  const host = useAppState(state => state.host);
  const facts = useMemo(
    () => (host === null || row === null ? [] : groupFacts(host, row.group, row.address)),
    [host, row],
  );
  return (
    <ListView
      list="iommu"
      size={size}
      columns={COLUMNS}
      rows={rows}
      empty="No IOMMU groups: there is no IOMMU, or it is off; 6 shows what to do"
      title={row === null ? '' : `group ${row.group}`}
      facts={facts}
      renderRow={(row, layout, selected) => (
        <Row key={row.key} row={row} layout={layout} selected={selected} />
      )}
    />
  );
}

type RowProps = { readonly row: GroupRow; readonly layout: ColumnLayout; readonly selected: boolean };

const Row = memo(function Row({ row, layout, selected }: RowProps) {
  const { glyphs } = useTheme();
  const { hostSelect } = useUi();
  const fn = useAppState(state => state.host?.functions.get(row.address ?? ''));
  const use = useAppState(state => state.host?.use.get(row.address ?? ''));
  const group = useAppState(state => state.host?.groups.get(row.group));
  const marked = useAppState(state => row.address !== null && state.marked.has(row.address));
  const withDomain = useAppState(hostSelect.withDomains);
  const cells: Cells = {
    mark: markCell(marked),
    group: groupText(row, glyphs),
    address: shortAddress(row.name, withDomain),
    isolation: group === undefined ? '' : isolationCell(row, group),
    ...(fn && {
      class: classWord(fn.class),
      device: fn.names.device ?? `${fn.vendor}:${fn.device}`,
      driver: driverCell(fn.driver),
      use: hostUseCell(use),
    }),
  };
  return <TableRow layout={layout} cells={cells} selected={selected} />;
});

/** The number once, then a bracket down to the last member. */
function groupText({ group, place }: GroupRow, { bracket }: Glyphs): string {
  if (place === 'only') return `${group}  `;
  return place === 'first' ? `${group} ${bracket.first}` : bracket[place];
}

function isolationCell({ place }: GroupRow, { members, others, override }: IommuGroup): Cell {
  if (override !== null) return { text: 'not real', token: 'status.error' };
  const count = members.length + others.length;
  if (count === 1) return 'alone';
  return place === 'only' || place === 'first' ? { text: `${count} share`, token: 'status.warning' } : '';
}
