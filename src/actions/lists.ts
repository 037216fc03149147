import type { AppState } from '../store/app-store.ts';
import type { TopScreen } from '../store/screens.ts';
import { nextSort, type SortColumn } from '../store/sort.ts';
import { currentScreen } from '../store/ui-slice.ts';
import { HOST_SORTS } from '../view/host-sort.ts';
import { layoutColumns } from '../view/table-columns.ts';
import { VM_COLUMNS } from '../view/vm-columns.ts';
import { type Action, type ActionContext, noVm } from './action.ts';
import { moveCursor } from './move.ts';
import type { Ui } from './ui.ts';

const SORTED = ['vms', 'pci', 'vfio', 'doctor'] as const satisfies readonly TopScreen[];
type SortedList = (typeof SORTED)[number];

function shownSorted({ state }: ActionContext): SortedList {
  return SORTED.find(list => list === currentScreen(state).kind) ?? 'vms';
}

/** The columns that the list can be sorted by: of the VMs, those that are seen. */
function sortColumns({ size }: AppState, list: SortedList): readonly SortColumn[] {
  if (list !== 'vms') return HOST_SORTS[list] ?? [];
  const seen = new Set(layoutColumns(VM_COLUMNS, size.columns).map(({ key }) => key));
  return VM_COLUMNS.filter(({ key, value }) => value !== undefined && seen.has(key));
}

/** Rows change places, and the cursor stays with its own: also where it is there only since the list was opened. */
function keepCursor({ ui, state, vm }: ActionContext, list: SortedList): void {
  if (list === 'vms') {
    if (vm !== null) state.selectVm(vm.id);
    return;
  }
  const row = ui.hostSelect.rowAtCursor(state);
  if (row !== null) state.setHostCursor(list, { key: row.key, index: ui.hostSelect.cursorRow(state, list) });
}

function sortBy(context: ActionContext, step: 1 | -1): void {
  const { state } = context;
  const list = shownSorted(context);
  keepCursor(context, list);
  state.setSort(list, nextSort(sortColumns(state, list), state.sorts[list] ?? null, step));
}

const sort: readonly Action[] = [
  {
    name: 'sort-next',
    category: 'Look',
    label: 'sort by the next column',
    description: 'Sort by the column to the right; after the last one, by none',
    screens: SORTED,
    run: context => sortBy(context, 1),
  },
  {
    name: 'sort-previous',
    category: 'Look',
    label: 'sort by the column before',
    phrase: 'sort by the previous column',
    description: 'Sort by the column to the left',
    screens: SORTED,
    run: context => sortBy(context, -1),
  },
  {
    name: 'sort-reverse',
    category: 'Look',
    label: 'turn the order round',
    phrase: 'reverse the order',
    description: 'Turn the order round: the highest first, or the lowest',
    screens: SORTED,
    run: context => {
      const { state } = context;
      const list = shownSorted(context);
      keepCursor(context, list);
      const now = state.sorts[list] ?? { column: sortColumns(state, list)[0]!.key, descending: true };
      state.setSort(list, { ...now, descending: !now.descending });
    },
  },
];

/** Marks the VM at the cursor, or takes its mark away. */
function toggleMark({ state, vm }: ActionContext): void {
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
function markAlong({ ui }: ActionContext, rows: number): void {
  markRange(ui);
  moveCursor(ui, rows);
  markRange(ui);
}

const mark: readonly Action[] = [
  {
    name: 'mark-vm',
    category: 'Look',
    label: 'mark',
    phrase: 'mark the VM',
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
    category: 'Look',
    label: 'mark up to here',
    phrase: 'mark the range',
    description: 'Mark all from the one marked last to this one',
    screens: ['vms'],
    unavailable: noVm,
    run: ({ ui }) => markRange(ui),
  },
  {
    name: 'mark-down',
    category: 'Look',
    label: 'mark downwards',
    description: 'Mark this VM and the next one',
    screens: ['vms'],
    unavailable: noVm,
    run: context => markAlong(context, 1),
  },
  {
    name: 'mark-up',
    category: 'Look',
    label: 'mark upwards',
    description: 'Mark this VM and the one above',
    screens: ['vms'],
    unavailable: noVm,
    run: context => markAlong(context, -1),
  },
  {
    name: 'mark-invert',
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
export const listActions: readonly Action[] = [...sort, ...mark];
