import { actions } from '../actions/registry.ts';
import { type SortedScreen, sortColumns } from '../view/sort-columns.ts';
import { keysOf } from './bindings.ts';

/** A column that a screen can be sorted by, and the key for it after `o`. */
export type SortLetter = {
  readonly letter: string;
  readonly title: string;
  /** Shift and the letter also sort. */
  readonly shift: boolean;
};

export function sortLetters(screen: SortedScreen): readonly SortLetter[] {
  return sortColumns(screen).flatMap(({ letter, title }) =>
    letter === undefined ? [] : [{ letter, title, shift: isSortKey(letter.toUpperCase(), screen) }],
  );
}

/**
 * Whether a key may sort by the column with that letter. A capital letter that changes a VM or the host on one screen
 * does nothing else on any other.
 */
export function isSortKey(key: string, screen: SortedScreen): boolean {
  return (
    /^[A-Z]$/.test(key) && !actions.some(action => takes(action, screen) && keysOf(action).includes(key))
  );
}

function takes({ screens, changes }: (typeof actions)[number], screen: SortedScreen): boolean {
  return changes !== undefined || (screens?.includes(screen) ?? true);
}
