import { vmViewOf } from '../store/vm-view-slice.ts';
import type { QueueRow } from '../view/queue-rows.ts';
import type { Action, ActionContext } from './action.ts';
import { openScreen } from './navigate.ts';

function queueAtCursor({ ui, state }: ActionContext): QueueRow | undefined {
  return ui.select.visibleQueues(state)[ui.select.queueRow(state)];
}

/** Actions on the queue list. */
export const queueActions: readonly Action[] = [
  {
    name: 'open-queue',
    category: 'Move',
    label: 'open',
    phrase: 'open the queue',
    description: "Open the VM's queues, with the cursor on this one",
    screens: ['queues'],
    bar: 10,
    unavailable: context => (queueAtCursor(context) === undefined ? 'there is no queue here' : null),
    run: context => {
      const { vm, slot } = queueAtCursor(context)!;
      openScreen(context.ui, { kind: 'vm', id: vm });
      const { cursors } = vmViewOf(context.state, vm);
      context.state.changeVmView(vm, { tab: 'queues', cursors: { ...cursors, queues: slot } });
    },
  },
];
