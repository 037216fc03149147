import { clearSort, reverseSort, sortByLetter } from '../actions/sort.ts';
import type { Ui } from '../actions/ui.ts';

/** A key while the columns to sort by are shown: each of them sorts, or does nothing more than take them away. */
export function sortKey(ui: Ui, key: string): void {
  ui.store.getState().popLayer();
  if (key === 'o') reverseSort(ui);
  else if (key === '-') clearSort(ui);
  else sortByLetter(ui, key.toLowerCase());
}
