import { clearSort, reverseSort, sortByLetter } from '../actions/sort.ts';
import type { Ui } from '../actions/ui.ts';

/** Handles a key while the sort columns are shown: a column's key sorts, and any key closes them. */
export function sortKey(ui: Ui, key: string): void {
  ui.store.getState().popLayer();
  if (key === 'o') reverseSort(ui);
  else if (key === '-') clearSort(ui);
  else sortByLetter(ui, key.toLowerCase());
}
