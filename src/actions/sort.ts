import { nextSort } from '../store/sort.ts';
import { likely } from '../text/nearest.ts';
import { fieldNamed } from '../view/list-columns.ts';
import {
  SORTED_SCREENS,
  type SortColumn,
  shownSorted,
  sortBy,
  sortColumns,
  sortOf,
  visibleSortColumns,
} from '../view/sort-columns.ts';
import type { Action, ActionContext } from './action.ts';
import { pinCursor } from './cursor.ts';
import type { Ui } from './ui.ts';

/** Sorts by the next or previous visible column. */
function step({ ui, state }: ActionContext, by: 1 | -1): void {
  const screen = shownSorted(state)!;
  pinCursor(ui);
  state.setSort(screen, nextSort(visibleSortColumns(state, screen), sortOf(state, screen), by));
}

/** Reverses the order; unsorted rows are sorted by the first column, the last first. */
export function reverseSort(ui: Ui): void {
  const state = ui.store.getState();
  const screen = shownSorted(state)!;
  const now = sortOf(state, screen) ?? { column: sortColumns(screen)[0]!.key, descending: false };
  pinCursor(ui);
  state.setSort(screen, { ...now, descending: !now.descending });
}

/** Restores the original order. */
export function clearSort(ui: Ui): void {
  const state = ui.store.getState();
  pinCursor(ui);
  state.setSort(shownSorted(state)!, null);
}

/** Sorts by the column with this letter. @returns whether there is one */
export function sortByLetter(ui: Ui, letter: string): boolean {
  const state = ui.store.getState();
  const screen = shownSorted(state);
  const column = screen && sortColumns(screen).find(column => column.letter === letter);
  if (!column) return false;
  pinCursor(ui);
  state.setSort(screen, sortBy(column, sortOf(state, screen)));
  return true;
}

/**
 * Sorts as a command line requests: `NAME`, `NAME asc`, `NAME desc`, or `none`.
 * @throws what is wrong with it, in a sentence
 */
export function sortByLine(ui: Ui, line: string): void {
  const state = ui.store.getState();
  const screen = shownSorted(state);
  if (screen === null) throw new Error('cannot sort here: open a list first, such as :vms or :pci');
  const [name = '', order, ...more] = line.split(/\s+/).filter(Boolean);
  const columns = sortColumns(screen);
  const names = columns.map(({ key }) => key);
  if (name === '') throw new Error(`sort by which column? ${names.join(', ')}; none shows them unsorted`);
  if (more.length > 0 || (order !== undefined && order !== 'asc' && order !== 'desc'))
    throw new Error(`cannot sort: after the column comes asc or desc, not "${[order, ...more].join(' ')}"`);
  if (name === 'none') {
    clearSort(ui);
    return;
  }
  const column = columnNamed(columns, name);
  if (column === null) {
    const near = likely(name, names);
    throw new Error(
      `no column "${name}" here; ${near === null ? names.join(', ') : `did you mean ${near}?`}`,
    );
  }
  pinCursor(ui);
  const { descending } = sortBy(column, null);
  state.setSort(screen, {
    column: column.key,
    descending: order === undefined ? descending : order === 'desc',
  });
}

/** By its name, its title, or a unique prefix. */
function columnNamed(columns: readonly SortColumn[], name: string): SortColumn | null {
  const wanted = name.toLowerCase();
  const titled = columns.find(({ title }) => title.toLowerCase() === wanted);
  const begun = columns.filter(({ key, names = [] }) => [key, ...names].some(it => it.startsWith(wanted)));
  return fieldNamed(columns, name) ?? titled ?? (begun.length === 1 ? begun[0]! : null);
}

/** Completions after `:sort`. */
export function sortCompletions(ui: Ui): readonly string[] {
  const screen = shownSorted(ui.store.getState());
  if (screen === null) return [];
  return [...sortColumns(screen).flatMap(({ key }) => [key, `${key} asc`, `${key} desc`]), 'none'];
}

export const sortActions: readonly Action[] = [
  {
    name: 'sort-menu',
    category: 'Look',
    label: 'sort',
    phrase: 'sort by a column',
    description:
      'Sort by a column: o, then its letter; Shift and the letter do it in one step, unless that is the key of ' +
      'an action',
    screens: SORTED_SCREENS,
    bar: 25,
    run: ({ state }) => state.pushLayer({ kind: 'sort' }),
  },
  {
    name: 'sort-next',
    category: 'Look',
    label: 'sort by next column',
    phrase: 'sort by the next column',
    description: 'Sort by the next column; after the last one, unsorted',
    screens: SORTED_SCREENS,
    run: context => step(context, 1),
  },
  {
    name: 'sort-previous',
    category: 'Look',
    label: 'sort by previous column',
    phrase: 'sort by the previous column',
    description: 'Sort by the previous column',
    screens: SORTED_SCREENS,
    run: context => step(context, -1),
  },
  {
    name: 'sort-reverse',
    category: 'Look',
    label: 'reverse order',
    phrase: 'reverse the order',
    description: 'Reverse the order',
    screens: SORTED_SCREENS,
    run: ({ ui }) => reverseSort(ui),
  },
];
