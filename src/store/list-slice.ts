import type { FieldLayer } from './layers.ts';
import { LISTS, type ListName } from './screens.ts';
import type { SliceCreator } from './slice.ts';
import type { Sort } from './sort.ts';
import { currentScreen, type UiSlice } from './ui-slice.ts';

/** Sorting, filters and marks of the lists. */
export type ListSlice = {
  /** Default: the original order of the rows. */
  readonly sorts: Readonly<Partial<Record<ListName | 'overview', Sort>>>;
  /** Default: no filter. */
  readonly filters: Readonly<Partial<Record<ListName, string>>>;
  /** VMs that the next command applies to. */
  readonly markedVms: ReadonlySet<string>;
  /** The VM marked last, where a range starts. */
  readonly lastMarked: string | null;
  setSort(list: ListName | 'overview', sort: Sort | null): void;
  /** For the list that is shown. */
  setFilter(filter: string): void;
  /** Replaces the top layer, and sets the filter of the list that is shown to its text. */
  filterTyped(layer: FieldLayer): void;
  /** @param last the one marked last */
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
  setFilter: filter => set(state => withFilter(state, filter)),
  filterTyped: layer =>
    set(state => ({
      layers: [...state.layers.slice(0, -1), layer],
      ...withFilter(state, layer.edit.text),
    })),
  setMarkedVms: (markedVms, last = null) => set({ markedVms, lastMarked: last }),
});

function withFilter(state: ListSlice & UiSlice, filter: string): Partial<ListSlice> {
  const list = listOnScreen(state);
  return list === null ? {} : { filters: { ...state.filters, [list]: filter } };
}

/** The list that is shown; null if the screen is not a list. */
export function listOnScreen(state: UiSlice): ListName | null {
  const { kind } = currentScreen(state);
  return LISTS.find(list => list === kind) ?? null;
}

export function filterOf({ filters }: ListSlice, list: ListName): string {
  return filters[list] ?? '';
}

/** The filter of the list that is shown; empty without a list. */
export function shownFilter(state: ListSlice & UiSlice): string {
  const list = listOnScreen(state);
  return list === null ? '' : filterOf(state, list);
}
