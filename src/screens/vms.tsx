import { memo } from 'react';
import { useAppState, useTheme, useUi } from '../components/contexts.ts';
import { sparkline } from '../components/sparkline.ts';
import { type Column, type ColumnLayout, layoutColumns } from '../components/table/columns.ts';
import { type Cells, Table, TableRow } from '../components/table/table.tsx';
import type { VmInfo } from '../engine/engine.ts';
import type { VmTotals } from '../engine/sampling/rates.ts';
import type { Size } from '../store/ui-slice.ts';
import { uptimeOf } from '../store/vm-uptime.ts';
import { bytes, percent, rate } from '../text/units.ts';
import { stateToken } from '../theme/state-token.ts';

const COLUMNS: readonly Column[] = [
  { key: 'name', title: 'NAME', width: 14, grow: 1 },
  { key: 'state', title: 'STATE', width: 8 },
  { key: 'vcpus', title: 'CPUS', width: 4, align: 'right', priority: 3 },
  { key: 'memory', title: 'MEM', width: 6, align: 'right', priority: 3 },
  { key: 'cpu', title: 'CPU%', width: 6, align: 'right' },
  { key: 'exits', title: 'EXITS/s', width: 7, align: 'right' },
  { key: 'read', title: 'READ/s', width: 7, align: 'right', priority: 2 },
  { key: 'write', title: 'WRITE/s', width: 7, align: 'right', priority: 2 },
  { key: 'requests', title: 'REQ/s', width: 7, align: 'right', priority: 1 },
  { key: 'kicks', title: 'KICKS/s', width: 7, align: 'right', priority: 5 },
  { key: 'interrupts', title: 'IRQ/s', width: 7, align: 'right', priority: 5 },
  { key: 'uptime', title: 'UP', width: 7, align: 'right', priority: 4 },
  { key: 'history', title: 'CPU', width: 18, priority: 6, grow: 1 },
];

/** All VMs. */
export function VmsScreen({ size }: { size: Size }) {
  const { select } = useUi();
  const visible = useAppState(select.visibleVms);
  const cursor = useAppState(select.cursorRow);
  const filter = useAppState(state => state.filter);
  const layout = layoutColumns(COLUMNS, size.columns);
  return (
    <Table
      layout={layout}
      rows={visible}
      height={size.rows}
      cursor={cursor}
      focused
      empty={
        filter === ''
          ? 'No VMs. Start one with: vring run KERNEL --ui'
          : 'No VM matches the filter; Esc clears it'
      }
      renderRow={(id, selected) => <VmRow key={id} id={id} layout={layout} selected={selected} />}
    />
  );
}

type VmRowProps = { readonly id: string; readonly layout: ColumnLayout; readonly selected: boolean };

const VmRow = memo(function VmRow({ id, layout, selected }: VmRowProps) {
  const { glyphs } = useTheme();
  const shows = (key: string) => layout.find(column => column.key === key)?.cells ?? 0;
  const vm = useAppState(state => state.infos[id]);
  const totals = useAppState(state => state.totals[id]);
  const history = useAppState(state => (shows('history') ? state.histories[id]?.cpu : undefined));
  const up = useAppState(state => (shows('uptime') ? uptimeOf(state, id) : ''));
  if (vm === undefined) return null;
  const cells: Cells = {
    ...facts(vm),
    ...(totals && rates(totals)),
    uptime: up,
    history: sparkline(history ?? [], shows('history'), glyphs.levels),
  };
  return <TableRow layout={layout} cells={cells} selected={selected} />;
});

function facts(vm: VmInfo): Cells {
  return {
    name: vm.name,
    state: { text: vm.state, token: stateToken(vm.state) },
    vcpus: String(vm.vcpus),
    memory: bytes(vm.memoryBytes),
  };
}

function rates(totals: VmTotals): Cells {
  return {
    cpu: percent(totals.cpu),
    exits: rate(totals.exits),
    read: bytes(totals.diskReadBytes),
    write: bytes(totals.diskWriteBytes),
    requests: rate(totals.requests),
    kicks: rate(totals.kicks),
    interrupts: rate(totals.interrupts),
  };
}
