import { Box, Text } from 'ink';
import { useMemo } from 'react';
import { useAppState, useTheme, useUi } from '../../components/contexts.ts';
import type { HostGeneral } from '../../host-service/snapshot.ts';
import type { Size } from '../../store/ui-slice.ts';
import { pad } from '../../text/width.ts';
import { VFIO_COLUMNS } from '../../view/host-columns.ts';
import type { VfioRow } from '../../view/host-rows.ts';
import { type Cells, cellsOf, withAddress } from '../../view/list-columns.ts';
import { markCell, shortAddress } from './cells.ts';
import { useFunctionFacts } from './function-facts.ts';
import { type HostLayout, ListView, type RowContext } from './list-view.tsx';

/** The owner of each device: now, and at the next boot. */
export function VfioScreen({ size }: { size: Size }) {
  const { hostSelect } = useUi();
  const rows = useAppState(hostSelect.vfio);
  const address = useAppState(hostSelect.functionAtCursor);
  const { cells } = useAppState(hostSelect.addresses);
  const columns = useMemo(() => withAddress(VFIO_COLUMNS, { min: cells, ideal: cells }), [cells]);
  const facts = useFunctionFacts(address);
  return (
    <Box flexDirection="column">
      <ModulesLine columns={size.columns} />
      <ListView
        list="vfio"
        size={{ ...size, rows: size.rows - 1 }}
        columns={columns}
        rows={rows}
        empty="This machine has no PCI devices that a guest could have"
        title={address ?? ''}
        facts={facts}
        cells={rowCells}
      />
    </Box>
  );
}

/** The kernel's side: which modules are loaded, and the device nodes that a VM needs. */
function ModulesLine({ columns }: { columns: number }) {
  const { style, glyphs } = useTheme();
  const vfio = useAppState(state => state.host?.general.vfio ?? null);
  const text = vfio === null ? '' : modulesText(vfio).join(` ${glyphs.separator} `);
  return (
    <Text wrap="truncate" {...style('text.secondary')}>
      {pad(`  ${text}`, columns, 'left', glyphs.ellipsis)}
    </Text>
  );
}

/** The modules to show; those that they depend on are loaded with them. */
const SHOWN_MODULES = ['vfio_pci', 'vfio_iommu_type1', 'iommufd'];

function modulesText({ modules, container, iommufd }: NonNullable<HostGeneral['vfio']>): string[] {
  const nodes = [container, iommufd].flatMap(node =>
    node === null ? [] : [`${node.path}${node.usable ? '' : ' (no permission)'}`],
  );
  return [
    ...modules
      .filter(({ name }) => SHOWN_MODULES.includes(name))
      .map(({ name, state }) => `${name} ${state === 'available' ? 'not loaded' : state}`),
    ...nodes,
  ];
}

function rowCells(row: VfioRow, layout: HostLayout, { host, marked, addresses }: RowContext): Cells {
  return {
    ...cellsOf(layout, { host, row }),
    mark: markCell(marked),
    address: shortAddress(row.address, addresses),
  };
}
