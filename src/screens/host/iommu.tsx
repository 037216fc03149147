import { useMemo } from 'react';
import { useAppState, useUi } from '../../components/contexts.ts';
import type { Size } from '../../store/ui-slice.ts';
import type { Glyphs } from '../../theme/glyphs.ts';
import { IOMMU_COLUMNS } from '../../view/host-columns.ts';
import { groupFacts } from '../../view/host-facts.ts';
import type { GroupRow } from '../../view/host-rows.ts';
import { type Cells, cellsOf, withAddress } from '../../view/list-columns.ts';
import type { ColumnLayout } from '../../view/table-columns.ts';
import { markCell, shortAddress } from './cells.ts';
import { ListView, type RowContext } from './list-view.tsx';

/** The IOMMU groups with their members, which can only be assigned to a guest together. */
export function IommuScreen({ size }: { size: Size }) {
  const { hostSelect } = useUi();
  const rows = useAppState(hostSelect.iommu);
  const row = useAppState(hostSelect.rowAtCursor) as GroupRow | null;
  const host = useAppState(hostSelect.view);
  const cells = useAppState(hostSelect.memberCells);
  const columns = useMemo(() => withAddress(IOMMU_COLUMNS, { min: cells, ideal: cells }), [cells]);
  const facts = useMemo(
    () => (host === null || row === null ? [] : groupFacts(host, row.group, row.address)),
    [host, row],
  );
  return (
    <ListView
      list="iommu"
      size={size}
      columns={columns}
      rows={rows}
      empty="No IOMMU groups: this machine has no IOMMU, or it is off; 6 shows what to do"
      title={row === null ? '' : `group ${row.group}`}
      facts={facts}
      cells={rowCells}
    />
  );
}

function rowCells(
  row: GroupRow,
  layout: ColumnLayout<(typeof IOMMU_COLUMNS)[number]>,
  { host, marked, addresses, glyphs }: RowContext,
): Cells {
  const cells = cellsOf(layout, { host, row });
  return {
    ...cells,
    mark: markCell(marked),
    group: groupText(row, glyphs),
    address: shortAddress(row.name, addresses),
    // Shown once per group.
    isolation: row.place === 'only' || row.place === 'first' ? (cells.isolation ?? '') : '',
  };
}

/** The number once, then a bracket down to the last member. */
function groupText({ group, place }: GroupRow, { bracket }: Glyphs): string {
  if (place === 'only') return `${group}  `;
  return place === 'first' ? `${group} ${bracket.first}` : bracket[place];
}
