import { layoutColumns } from '../components/table/columns.ts';
import type { AppState } from '../store/app-store.ts';
import { nextSort, type SortColumn } from '../store/sort.ts';
import { VM_COLUMNS } from '../store/vm-columns.ts';
import type { Ui } from '../ui.ts';
import type { Command, CommandContext } from './command.ts';
import { moveCursor } from './move.ts';

/** The columns that the list can be sorted by, as they are seen. */
function sortColumns({ size }: AppState): readonly SortColumn[] {
  const seen = new Set(layoutColumns(VM_COLUMNS, size.columns).map(({ key }) => key));
  return VM_COLUMNS.filter(({ key, value }) => value !== undefined && seen.has(key));
}

/** Rows change places, and the cursor stays with its VM: also where it is there only since the list was opened. */
function keepCursor({ state, vm }: CommandContext): void {
  if (vm !== null) state.selectVm(vm.id);
}

function sortBy(context: CommandContext, step: 1 | -1): void {
  const { state } = context;
  keepCursor(context);
  state.setSort('vms', nextSort(sortColumns(state), state.sorts.vms ?? null, step));
}

const sort: readonly Command[] = [
  {
    name: 'sort-next',
    keys: ['shift+right', '>'],
    category: 'Look',
    label: 'sort by the next column',
    description: 'Sort by the column to the right; after the last one, by none',
    screens: ['vms'],
    run: context => sortBy(context, 1),
  },
  {
    name: 'sort-previous',
    keys: ['shift+left', '<'],
    category: 'Look',
    label: 'sort by the column before',
    description: 'Sort by the column to the left',
    screens: ['vms'],
    run: context => sortBy(context, -1),
  },
  {
    name: 'sort-reverse',
    keys: ['o'],
    category: 'Look',
    label: 'turn the order round',
    description: 'Turn the order round: the highest first, or the lowest',
    screens: ['vms'],
    run: context => {
      const { state } = context;
      keepCursor(context);
      const now = state.sorts.vms ?? { column: 'name', descending: true };
      state.setSort('vms', { ...now, descending: !now.descending });
    },
  },
];

/** Marks the VM at the cursor, or takes its mark away. */
function toggleMark({ state, vm }: CommandContext): void {
  const marked = new Set(state.markedVms);
  if (!marked.delete(vm!.id)) marked.add(vm!.id);
  state.setMarkedVms(marked, vm!.id);
}

/** Marks all from the one that was marked last to the one at the cursor. */
function markRange(ui: Ui): void {
  const state = ui.store.getState();
  const visible = ui.select.visibleVms(state);
  const here = ui.select.cursorRow(state);
  const last = visible.indexOf(state.lastMarked ?? '');
  const from = last < 0 ? here : last;
  const range = visible.slice(Math.min(from, here), Math.max(from, here) + 1);
  state.setMarkedVms(new Set([...state.markedVms, ...range]), visible[here] ?? null);
}

/** Marks this VM and the one that the cursor goes to. */
function markAlong({ ui }: CommandContext, rows: number): void {
  markRange(ui);
  moveCursor(ui, rows);
  markRange(ui);
}

function noVm({ vm }: CommandContext): string | null {
  return vm === null ? 'there is no VM here' : null;
}

const mark: readonly Command[] = [
  {
    name: 'mark-vm',
    keys: ['space'],
    category: 'Look',
    label: 'mark',
    description: 'Mark the VM, or take the mark away: actions are for all that are marked',
    screens: ['vms'],
    bar: 30,
    unavailable: noVm,
    run: context => {
      toggleMark(context);
      moveCursor(context.ui, 1);
    },
  },
  {
    name: 'mark-range',
    keys: ['ctrl+space'],
    category: 'Look',
    label: 'mark up to here',
    description: 'Mark all from the one marked last to this one',
    screens: ['vms'],
    unavailable: noVm,
    run: ({ ui }) => markRange(ui),
  },
  {
    name: 'mark-down',
    keys: ['shift+down'],
    category: 'Look',
    label: 'mark downwards',
    description: 'Mark this VM and the next one',
    screens: ['vms'],
    unavailable: noVm,
    run: context => markAlong(context, 1),
  },
  {
    name: 'mark-up',
    keys: ['shift+up'],
    category: 'Look',
    label: 'mark upwards',
    description: 'Mark this VM and the one above',
    screens: ['vms'],
    unavailable: noVm,
    run: context => markAlong(context, -1),
  },
  {
    name: 'mark-invert',
    keys: ['*'],
    category: 'Look',
    label: 'invert the marks',
    description: 'Mark those of the shown VMs that are not marked, and take the marks of the others away',
    screens: ['vms'],
    run: ({ ui, state }) => {
      const shown = new Set(ui.select.visibleVms(state));
      const marked = [...shown].filter(id => !state.markedVms.has(id));
      const hidden = [...state.markedVms].filter(id => !shown.has(id));
      state.setMarkedVms(new Set([...marked, ...hidden]));
    },
  },
];

/** How the list of VMs is looked at: in which order, and which of them are meant. */
export const listCommands: readonly Command[] = [...sort, ...mark];
