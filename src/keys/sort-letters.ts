import { actions } from '../actions/registry.ts';
import { type SortedScreen, sortColumns } from '../view/sort-columns.ts';
import { keysOf } from './bindings.ts';

/** A column that a screen can be sorted by, and the key for it after `o`. */
export type SortLetter = {
  readonly letter: string;
  readonly title: string;
  /** Shift and the letter sort, too: no action of the screen has that key. */
  readonly shift: boolean;
};

export function sortLetters(screen: SortedScreen): readonly SortLetter[] {
  const taken = new Set(actions.filter(({ screens }) => screens?.includes(screen) ?? true).flatMap(keysOf));
  return sortColumns(screen).flatMap(({ letter, title }) => {
    if (letter === undefined) return [];
    const capital = letter.toUpperCase();
    return [{ letter, title, shift: capital !== letter && !taken.has(capital) }];
  });
}
