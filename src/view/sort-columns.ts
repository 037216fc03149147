import type { AppState } from '../store/app-store.ts';
import { HOST_LISTS } from '../store/screens.ts';
import type { Sort } from '../store/sort.ts';
import { currentScreen } from '../store/ui-slice.ts';
import { HOST_COLUMNS } from './host-lists.ts';
import { IMAGE_COLUMNS } from './image-rows.ts';
import type { ListColumn } from './list-columns.ts';
import { NETWORK_COLUMNS } from './network-rows.ts';
import { TOP_COLUMNS, TOP_FIRST } from './overview-rows.ts';
import { QUEUE_COLUMNS } from './queue-rows.ts';
import { layoutColumns } from './table-columns.ts';
import { VM_COLUMNS } from './vm-columns.ts';

/** The screens whose rows can be sorted. */
export const SORTED_SCREENS = ['overview', 'vms', ...HOST_LISTS, 'queues', 'networks', 'images'] as const;
export type SortedScreen = (typeof SORTED_SCREENS)[number];

export type SortColumn = ListColumn<never>;

const COLUMNS: Readonly<Record<SortedScreen, readonly SortColumn[]>> = {
  ...HOST_COLUMNS,
  overview: TOP_COLUMNS,
  vms: VM_COLUMNS,
  queues: QUEUE_COLUMNS,
  networks: NETWORK_COLUMNS,
  images: IMAGE_COLUMNS,
};

/** The columns by which a screen's rows can be sorted, in their order. */
export function sortColumns(screen: SortedScreen): readonly SortColumn[] {
  return COLUMNS[screen].filter(({ value }) => value !== undefined);
}

/** Those of them that are visible. */
export function visibleSortColumns({ size }: AppState, screen: SortedScreen): readonly SortColumn[] {
  const seen = new Set(layoutColumns(COLUMNS[screen], size.columns).map(({ key }) => key));
  return sortColumns(screen).filter(({ key }) => seen.has(key));
}

export function shownSorted(state: AppState): SortedScreen | null {
  const { kind } = currentScreen(state);
  return SORTED_SCREENS.find(screen => screen === kind) ?? null;
}

/** A screen's sort order; null for the original order. */
export function sortOf({ sorts }: AppState, screen: SortedScreen): Sort | null {
  return sorts[screen] ?? (screen === 'overview' ? TOP_FIRST : null);
}

/** The sort by a column: numbers start with the highest; a column that is sorted by already is reversed. */
export function sortBy({ key, align }: SortColumn, now: Sort | null): Sort {
  if (now?.column === key) return { column: key, descending: !now.descending };
  return { column: key, descending: align === 'right' };
}
