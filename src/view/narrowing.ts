import type { Filter, Searched } from './filter.ts';

/** A row that may be filtered; one with a depth is below the last row before it that has a lower one. */
export type Candidate<Row> = {
  readonly row: Row;
  readonly depth: number;
  /** Null for a row that is only there for the sake of those below it. */
  readonly searched: (() => Searched<never>) | null;
};

/** What a filter let through: the rows that match, and those above them in a tree. */
type Result<Row> = {
  readonly filter: Filter<never>;
  readonly kept: readonly Candidate<Row>[];
  readonly rows: readonly Row[];
};

/** More than anybody types and takes back. */
const MOST_RESULTS = 32;

/**
 * The rows of a list through one filter after the other, as they are typed. A filter that narrows one before it looks only at
 * the rows that that one let through, and one that was there before is not looked up again. Rows stay the same objects.
 */
export class Narrowing<Row extends { readonly matches?: boolean }> {
  readonly #all: readonly Candidate<Row>[];
  /** Each narrows the one before it. */
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

  /** Puts together what a filter searches in each row, until it is told to stop. @returns whether it got to the end */
  prepare(goOn: () => boolean): boolean {
    while (this.#prepared < this.#all.length && goOn()) this.#all[this.#prepared++]!.searched?.();
    return this.#prepared === this.#all.length;
  }

  /** From the last row to the first, so that what is below a row is known when it is reached. */
  #filtered(candidates: readonly Candidate<Row>[], filter: Filter<never>): Result<Row> {
    const kept: Candidate<Row>[] = [];
    const rows: Row[] = [];
    /** The depth of the row that was kept last, for which each row above it is kept. */
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
