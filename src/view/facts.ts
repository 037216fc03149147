import { printable } from '../text/printable.ts';
import { pad, width, wrap } from '../text/width.ts';
import type { Token } from '../theme/tokens.ts';

/** A fact: a name, and texts that each start a line. */
export type Fact = {
  readonly name: string;
  readonly texts: readonly string[];
  /** The style of the texts; default: plain. */
  readonly token?: Token;
};

/** A fact with one text. */
export function fact(name: string, text: string, token?: Fact['token']): Fact {
  return { name, texts: [text], ...(token && { token }) };
}

/** A line of the screen. */
export type Line = { readonly name: string; readonly text: string; readonly token: Token };

/** The fewest cells of the names, so that they are as wide from one row of a list to the next. */
const NAME_CELLS = 11;

/** Facts as lines of at most `columns` cells: names on the left, wrapped texts beside them. */
export function factLines(facts: readonly Fact[], columns: number): Line[] {
  const longest = Math.max(...facts.map(({ name }) => width(name)), 0) + 1;
  const nameCells = Math.max(NAME_CELLS, Math.min(longest, Math.floor(columns / 3)));
  const cells = Math.max(2, columns - nameCells - 1);
  return facts.flatMap(({ name, texts, token = 'text.primary' }) =>
    texts
      .flatMap(text => wrap(printable(text), cells))
      .map((text, index) => ({ name: `${pad(index === 0 ? name : '', nameCells - 1)} `, text, token })),
  );
}
