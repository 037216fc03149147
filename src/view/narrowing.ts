import type { Filter, Searched } from './filter.ts';

/** A row that may be filtered; its parent is the last row before it with a smaller depth. */
export type Candidate<Row> = {
  readonly row: Row;
  readonly depth: number;
  /** Null for a row that is only shown because of those below it. */
  readonly searched: (() => Searched<never>) | null;
};

/** The result of a filter: the rows that match, and their ancestors in a tree. */
type Result<Row> = {
  readonly filter: Filter<never>;
  readonly kept: readonly Candidate<Row>[];
  readonly rows: readonly Row[];
};

/** More steps than a user types and takes back. */
const MOST_RESULTS = 32;

/**
 * Caches the rows of a list through successive filters as they are typed. A filter that narrows an earlier one only
 * searches that one's rows, and a repeated filter is not searched again. Rows stay the same objects.
 */
export class Narrowing<Row extends { readonly matches?: boolean }> {
  readonly #all: readonly Candidate<Row>[];
  /** Each narrows the previous one. */
  #results: Result<Row>[] = [];
  #prepared = 0;
  readonly #aboveMatches = new Map<Row, Row>();

  constructor(all: readonly Candidate<Row>[]) {
    this.#all = all;
  }

  /** @param filter always made for the fields of this list */
  rows(filter: Filter<never>): readonly Row[] {
    while (this.#results.length > 0 && !filter.narrows(this.#results.at(-1)!.filter)) this.#results.pop();
    const last = this.#results.at(-1);
    if (last?.filter.narrows(filter)) return last.rows;
    const result = this.#filtered(last?.kept ?? this.#all, filter);
    this.#results = [...this.#results, result].slice(-MOST_RESULTS);
    return result.rows;
  }

  /** Prepares the texts that a filter searches in each row, until told to stop. @returns whether it is done */
  prepare(goOn: () => boolean): boolean {
    while (this.#prepared < this.#all.length && goOn()) this.#all[this.#prepared++]!.searched?.();
    return this.#prepared === this.#all.length;
  }

  /** From the last row to the first, so that the rows below a row are decided before it. */
  #filtered(candidates: readonly Candidate<Row>[], filter: Filter<never>): Result<Row> {
    const kept: Candidate<Row>[] = [];
    const rows: Row[] = [];
    /** The depth of the row kept last; its ancestors are kept for it. */
    let above = 0;
    for (let at = candidates.length - 1; at >= 0; at--) {
      const candidate = candidates[at]!;
      const { row, depth, searched } = candidate;
      const matches = searched !== null && (filter.terms.length === 0 || filter.matches(searched()));
      if (!matches && depth >= above) continue;
      above = depth;
      kept.push(candidate);
      rows.push(matches ? row : this.#notMatching(row));
    }
    return { filter, kept: kept.reverse(), rows: rows.reverse() };
  }

  #notMatching(row: Row): Row {
    const known = this.#aboveMatches.get(row) ?? { ...row, matches: false };
    this.#aboveMatches.set(row, known);
    return known;
  }
}
