import { LISTS, type ListName } from './screens.ts';
import type { SliceCreator } from './slice.ts';
import type { Sort } from './sort.ts';
import { currentScreen, type UiSlice } from './ui-slice.ts';

/** How the lists are looked at. */
export type ListSlice = {
  /** Absent: the rows are in the order in which they came. */
  readonly sorts: Readonly<Partial<Record<ListName | 'overview', Sort>>>;
  /** Absent: everything is shown. */
  readonly filters: Readonly<Partial<Record<ListName, string>>>;
  /** VMs that the next command is for. */
  readonly markedVms: ReadonlySet<string>;
  /** The VM that was marked last, where a range starts. */
  readonly lastMarked: string | null;
  setSort(list: ListName | 'overview', sort: Sort | null): void;
  /** Of the list that is shown. */
  setFilter(filter: string): void;
  /** @param last the one that was marked last */
  setMarkedVms(marked: ReadonlySet<string>, last?: string | null): void;
};

export const createListSlice: SliceCreator<ListSlice, ListSlice & UiSlice> = set => ({
  sorts: {},
  filters: {},
  markedVms: new Set(),
  lastMarked: null,

  setSort: (list, sort) =>
    set(({ sorts: { [list]: _, ...others } }) => ({
      sorts: sort === null ? others : { ...others, [list]: sort },
    })),
  setFilter: filter =>
    set(state => {
      const list = listOnScreen(state);
      return list === null ? {} : { filters: { ...state.filters, [list]: filter } };
    }),
  setMarkedVms: (markedVms, last = null) => set({ markedVms, lastMarked: last }),
});

/** The list that is shown; null on a screen that is none. */
export function listOnScreen(state: UiSlice): ListName | null {
  const { kind } = currentScreen(state);
  return LISTS.find(list => list === kind) ?? null;
}

export function filterOf({ filters }: ListSlice, list: ListName): string {
  return filters[list] ?? '';
}

/** The filter of the list that is shown; empty where there is no list. */
export function shownFilter(state: ListSlice & UiSlice): string {
  const list = listOnScreen(state);
  return list === null ? '' : filterOf(state, list);
}
