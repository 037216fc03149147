import { logRow } from '../view/log-rows.ts';
import type { Action, ActionContext } from './action.ts';
import { openScreen } from './navigate.ts';

/** The VM that the entry under the cursor is about. */
function vmOfEntry({ ui, state }: ActionContext): string | null {
  const entries = ui.select.visibleLog(state);
  return entries[logRow(entries, state.logCursor)]?.vm ?? null;
}

/** Actions on the log's screen. */
export const logActions: readonly Action[] = [
  {
    name: 'open-vm-of-entry',
    category: 'Move',
    label: 'open the VM',
    description: 'Open the events of the VM that the entry is about',
    screens: ['log'],
    bar: 10,
    unavailable: context => {
      const id = vmOfEntry(context);
      if (id === null) return 'the entry is about no VM';
      return id in context.state.infos ? null : `the VM ${id} no longer exists`;
    },
    run: context => {
      const id = vmOfEntry(context)!;
      openScreen(context.ui, { kind: 'vm', id });
      context.state.changeVmView(id, { tab: 'events' });
    },
  },
];
