import { Box, Text } from 'ink';
import { memo } from 'react';
import { useAppState, useTheme, useUi } from '../../components/contexts.ts';
import { type Cell, type Cells, TableRow } from '../../components/table/table.tsx';
import type { NextBoot } from '../../host/boot/next-boot.ts';
import type { PciSummary } from '../../host/pci/function.ts';
import { holderText } from '../../host/use/holders.ts';
import type { VfioDevice } from '../../host/vfio/read.ts';
import type { HostGeneral } from '../../host-service/snapshot.ts';
import type { Size } from '../../store/ui-slice.ts';
import { pad } from '../../text/width.ts';
import { changesHands, type VfioRow } from '../../view/host-vfio-rows.ts';
import type { Column, ColumnLayout } from '../../view/table-columns.ts';
import { driverCell, hostUseCell, markCell, shortAddress } from './cells.ts';
import { useFunctionFacts } from './function-facts.ts';
import { ListView } from './list-view.tsx';

const COLUMNS: readonly Column[] = [
  { key: 'mark', title: '', width: 1 },
  { key: 'address', title: 'ADDRESS', width: 12 },
  { key: 'device', title: 'DEVICE', width: 14, grow: 3 },
  { key: 'now', title: 'NOW', width: 10 },
  { key: 'boot', title: 'NEXT BOOT', width: 10 },
  { key: 'group', title: 'GRP', width: 4, align: 'right', priority: 3 },
  { key: 'node', title: 'NODE', width: 13, priority: 1 },
  { key: 'use', title: 'HELD BY / HOST USE', width: 14, grow: 2, priority: 2 },
];

/** Who has each device: now, and at the next boot. */
export function VfioScreen({ size }: { size: Size }) {
  const { hostSelect } = useUi();
  const rows = useAppState(hostSelect.vfio);
  const address = useAppState(hostSelect.functionAtCursor);
  const facts = useFunctionFacts(address);
  return (
    <Box flexDirection="column">
      <ModulesLine columns={size.columns} />
      <ListView
        list="vfio"
        size={{ ...size, rows: size.rows - 1 }}
        columns={COLUMNS}
        rows={rows}
        empty="This machine has no PCI devices that a guest could have"
        title={address ?? ''}
        facts={facts}
        renderRow={(row, layout, selected) => (
          <Row key={row.key} row={row} layout={layout} selected={selected} />
        )}
      />
    </Box>
  );
}

/** The kernel's side of it: which modules are there, and the nodes that a VM needs. */
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

/** The modules that decide; those below them come along. */
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

type RowProps = { readonly row: VfioRow; readonly layout: ColumnLayout; readonly selected: boolean };

const Row = memo(function Row({ row: { address }, layout, selected }: RowProps) {
  const { hostSelect } = useUi();
  const fn = useAppState(state => state.host?.functions.get(address));
  const use = useAppState(state => state.host?.use.get(address));
  const next = useAppState(state => state.host?.nextBoot.get(address));
  const bound = useAppState(state => state.host?.bound.get(address));
  const marked = useAppState(state => state.marked.has(address));
  const withDomain = useAppState(hostSelect.withDomains);
  if (fn === undefined) return null;
  const cells: Cells = {
    mark: markCell(marked),
    address: shortAddress(address, withDomain),
    device: fn.names.device ?? `${fn.vendor}:${fn.device}`,
    now: driverCell(fn.driver),
    boot: nextBootCell(fn, next),
    group: fn.iommuGroup === null ? '-' : String(fn.iommuGroup),
    node: nodeCell(bound),
    use: bound?.holders.length
      ? { text: bound.holders.map(holderText).join(', '), token: 'status.warning' }
      : hostUseCell(use),
  };
  return <TableRow layout={layout} cells={cells} selected={selected} />;
});

function nextBootCell(fn: PciSummary, next: NextBoot | undefined): Cell {
  // A drift in the number of VFs is another screen's.
  if (next === undefined || !changesHands(fn, next)) return '';
  const text = next.driver ?? (fn.physicalFunction === null ? 'host' : 'gone');
  if (next.problems.length > 0) return { text: `${text} ?`, token: 'status.error' };
  return next.drift === null ? text : { text: `${text} !`, token: 'status.warning' };
}

function nodeCell(bound: VfioDevice | undefined): Cell {
  if (bound === undefined) return '';
  const node = bound.groupNode ?? bound.deviceNode;
  if (node === null) return { text: 'no node', token: 'status.error' };
  return node.usable ? node.path : { text: `${node.path} !`, token: 'status.warning' };
}
