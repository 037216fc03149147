import { memo, useMemo } from 'react';
import { useShallow } from 'zustand/react/shallow';
import { useAppState, useTheme, useUi } from '../components/contexts.ts';
import { sparkline } from '../components/sparkline.ts';
import { Table, TableRow } from '../components/table/table.tsx';
import { filterOf } from '../store/list-slice.ts';
import type { Size } from '../store/ui-slice.ts';
import { own } from '../text/own.ts';
import { cpuScale } from '../view/graph-scale.ts';
import { type Cells, cellsOf } from '../view/list-columns.ts';
import { type ColumnLayout, layoutColumns } from '../view/table-columns.ts';
import { noMatchText } from '../view/unknown-columns.ts';
import { VM_COLUMNS, type VmColumn, vmListed } from '../view/vm-columns.ts';

/** All VMs: running ones, and defined ones that are off. */
export function VmsScreen({ size }: { size: Size }) {
  const { select } = useUi();
  const visible = useAppState(select.visibleVms);
  const cursor = useAppState(select.cursorRow);
  const filter = useAppState(state => filterOf(state, 'vms'));
  const sort = useAppState(state => state.sorts.vms);
  // Without addresses, the other columns get the space.
  const addressed = useAppState(select.addressed);
  const layout = useMemo(() => {
    const shown = addressed ? VM_COLUMNS : VM_COLUMNS.filter(({ key }) => key !== 'address');
    return layoutColumns(shown, size.columns);
  }, [size.columns, addressed]);
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
          ? 'No VMs. Create one with n, vring vm create, or vring run KERNEL --ui'
          : noMatchText('vms', filter, 'No VM')
      }
      renderRow={(id, selected) => <VmRow key={id} id={id} layout={layout} selected={selected} />}
    />
  );
}

type VmRowProps = {
  readonly id: string;
  readonly layout: ColumnLayout<VmColumn>;
  readonly selected: boolean;
};

const VmRow = memo(function VmRow({ id, layout, selected }: VmRowProps) {
  const { glyphs } = useTheme();
  const shows = (key: string) => layout.find(column => column.key === key)?.cells ?? 0;
  // One selector for everything in the row: there are many rows, and the state changes often.
  const { vm, totals, now, marked, history } = useAppState(
    useShallow(state => {
      const listed = vmListed(state, id);
      return {
        ...listed,
        // A row without an uptime does not change with each sample.
        now: shows('up') ? listed.now : 0,
        marked: state.markedVms.has(id),
        history: shows('history') ? own(state.histories, id)?.cpu : undefined,
      };
    }),
  );
  if (vm === undefined) return null;
  const cells: Cells = {
    ...cellsOf(layout, { vm, totals, now }),
    ...(marked && { flag: { text: '*', token: 'key' } }),
    history: sparkline(history ?? [], shows('history'), glyphs.levels, cpuScale(vm.vcpus).top),
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
