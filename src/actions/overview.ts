import { type OverviewRow, vmOfRow } from '../view/overview-rows.ts';
import type { Action, ActionContext } from './action.ts';
import { openScreen } from './navigate.ts';

function rowAtCursor({ ui, state }: ActionContext): OverviewRow | undefined {
  return ui.select.overviewRows(state)[ui.select.overviewRow(state)];
}

/** Actions on the overview. */
export const overviewActions: readonly Action[] = [
  {
    name: 'open-vm-of-row',
    category: 'Move',
    label: 'open the VM',
    description: 'Open the VM of the alarm, the row or the event at the cursor',
    screens: ['overview'],
    bar: 10,
    unavailable: context => {
      const row = rowAtCursor(context);
      if (row === undefined) return 'there is nothing here';
      const id = vmOfRow(row);
      if (id === null) return `the ${row.kind} is about no VM`;
      return id in context.state.infos ? null : `the VM ${id} no longer exists`;
    },
    run: context => {
      const row = rowAtCursor(context)!;
      const id = vmOfRow(row)!;
      openScreen(context.ui, { kind: 'vm', id });
      if (row.kind === 'event') context.state.changeVmView(id, { tab: 'events' });
    },
  },
];
