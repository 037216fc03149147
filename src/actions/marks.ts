import { type Action, type ActionContext, noVm } from './action.ts';
import { moveCursor } from './move.ts';
import type { Ui } from './ui.ts';

/** Marks the VM at the cursor, or unmarks it. */
function toggleMark({ state, vm }: ActionContext): void {
  const marked = new Set(state.markedVms);
  if (!marked.delete(vm!.id)) marked.add(vm!.id);
  state.setMarkedVms(marked, vm!.id);
}

/** Marks the VMs between the one marked last and the cursor. */
function markRange(ui: Ui): void {
  const state = ui.store.getState();
  const visible = ui.select.visibleVms(state);
  const here = ui.select.cursorRow(state);
  const last = visible.indexOf(state.lastMarked ?? '');
  const from = last < 0 ? here : last;
  const range = visible.slice(Math.min(from, here), Math.max(from, here) + 1);
  state.setMarkedVms(new Set([...state.markedVms, ...range]), visible[here] ?? null);
}

/** Marks this VM and those that the cursor passes. */
function markAlong({ ui }: ActionContext, rows: number): void {
  markRange(ui);
  moveCursor(ui, rows);
  markRange(ui);
}

/** Actions that choose the VMs that others apply to. */
export const markActions: readonly Action[] = [
  {
    name: 'mark-vm',
    category: 'Look',
    label: 'mark',
    phrase: 'mark the VM',
    description: 'Mark or unmark the VM; actions apply to all marked VMs',
    screens: ['vms'],
    bar: 42,
    unavailable: noVm,
    run: context => {
      toggleMark(context);
      moveCursor(context.ui, 1);
    },
  },
  {
    name: 'mark-range',
    category: 'Look',
    label: 'mark range',
    phrase: 'mark the range',
    description: 'Mark the range from the last marked VM to this one',
    screens: ['vms'],
    unavailable: noVm,
    run: ({ ui }) => markRange(ui),
  },
  {
    name: 'mark-down',
    category: 'Look',
    label: 'mark down',
    description: 'Mark this VM and the next',
    screens: ['vms'],
    unavailable: noVm,
    run: context => markAlong(context, 1),
  },
  {
    name: 'mark-up',
    category: 'Look',
    label: 'mark up',
    description: 'Mark this VM and the previous',
    screens: ['vms'],
    unavailable: noVm,
    run: context => markAlong(context, -1),
  },
  {
    name: 'mark-invert',
    category: 'Look',
    label: 'invert marks',
    description: 'Invert the marks of the VMs shown',
    screens: ['vms'],
    run: ({ ui, state }) => {
      const shown = new Set(ui.select.visibleVms(state));
      const marked = [...shown].filter(id => !state.markedVms.has(id));
      const hidden = [...state.markedVms].filter(id => !shown.has(id));
      state.setMarkedVms(new Set([...marked, ...hidden]));
    },
  },
];
