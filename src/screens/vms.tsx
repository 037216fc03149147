import { memo, useMemo } from 'react';
import { useShallow } from 'zustand/react/shallow';
import { useAppState, useTheme, useUi } from '../components/contexts.ts';
import { sparkline } from '../components/sparkline.ts';
import { type Cell, type Cells, Table, TableRow } from '../components/table/table.tsx';
import type { VmTotals } from '../engine/sampling/rates.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { cannotStart, stateWord } from '../engine/vm-info.ts';
import type { Size } from '../store/ui-slice.ts';
import { bytes, percent, rate } from '../text/units.ts';
import { stateToken } from '../theme/state-token.ts';
import { type ColumnLayout, layoutColumns } from '../view/table-columns.ts';
import { VM_COLUMNS } from '../view/vm-columns.ts';
import { uptimeOf } from '../view/vm-uptime.ts';

/** All VMs: those that run, and those that are defined and off. */
export function VmsScreen({ size }: { size: Size }) {
  const { select } = useUi();
  const visible = useAppState(select.visibleVms);
  const cursor = useAppState(select.cursorRow);
  const filter = useAppState(state => state.filter);
  const sort = useAppState(state => state.sorts.vms);
  const layout = useMemo(() => layoutColumns(VM_COLUMNS, size.columns), [size.columns]);
  return (
    <Table
      layout={layout}
      rows={visible}
      height={size.rows}
      cursor={cursor}
      focused
      sort={sort}
      empty={
        filter === ''
          ? 'No VMs. n makes one; so do vring vm create and vring run KERNEL --ui'
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
  // One look at the state for all that a row shows: there are many rows, and the state changes often.
  const { vm, totals, marked, history, up } = useAppState(
    useShallow(state => ({
      vm: state.infos[id],
      totals: state.totals[id],
      marked: state.markedVms.has(id),
      history: shows('history') ? state.histories[id]?.cpu : undefined,
      up: shows('uptime') ? uptimeOf(state, id) : '',
    })),
  );
  if (vm === undefined) return null;
  const cells: Cells = {
    flag: flagCell(vm, marked),
    ...facts(vm),
    ...(totals && rates(totals)),
    uptime: up,
    history: sparkline(history ?? [], shows('history'), glyphs.levels),
  };
  return (
    <TableRow
      layout={layout}
      cells={cells}
      selected={selected}
      {...(vm.state === 'off' && !selected && { token: 'text.secondary' as const })}
    />
  );
});

/** Whether it is marked, else whether it cannot start, else whether it starts with the manager. */
function flagCell(vm: VmInfo, marked: boolean): Cell {
  if (marked) return { text: '*', token: 'key' };
  if (cannotStart(vm) !== null) return { text: '!', token: 'status.error' };
  return vm.autostart ? 'a' : '';
}

function facts(vm: VmInfo): Cells {
  const state = stateWord(vm);
  return {
    name: vm.name,
    state: { text: state, token: stateToken(state) },
    // Of a definition that can't be read nothing is known.
    vcpus: vm.vcpus === 0 ? '' : String(vm.vcpus),
    memory: vm.memoryBytes === 0 ? '' : bytes(vm.memoryBytes),
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
