import type { TopScreen } from './screens.ts';
import type { SliceCreator } from './slice.ts';
import type { Sort } from './sort.ts';

/** How the lists are looked at, beyond their filters and cursors. */
export type ListSlice = {
  /** Absent: the rows are in the order in which they came. */
  readonly sorts: Readonly<Partial<Record<TopScreen, Sort>>>;
  /** VMs that the next command is for. */
  readonly markedVms: ReadonlySet<string>;
  /** The VM that was marked last, where a range starts. */
  readonly lastMarked: string | null;
  setSort(list: TopScreen, sort: Sort | null): void;
  /** @param last the one that was marked last */
  setMarkedVms(marked: ReadonlySet<string>, last?: string | null): void;
};

export const createListSlice: SliceCreator<ListSlice> = set => ({
  sorts: {},
  markedVms: new Set(),
  lastMarked: null,

  setSort: (list, sort) =>
    set(({ sorts: { [list]: _, ...others } }) => ({
      sorts: sort === null ? others : { ...others, [list]: sort },
    })),
  setMarkedVms: (markedVms, last = null) => set({ markedVms, lastMarked: last }),
});
