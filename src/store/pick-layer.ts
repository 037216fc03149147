import type { TextEdit } from '../text/text-edit.ts';
import type { Align, Cut } from '../text/width.ts';

/** A column of a list to pick from, and how it gives way where there is little room. */
export type PickColumn = {
  readonly key: string;
  readonly title: string;
  readonly min: number;
  readonly ideal?: number;
  readonly align?: Align;
  readonly priority?: number;
  readonly grow?: number;
  readonly cut?: Cut;
};

export type PickRow = {
  readonly key: string;
  /** By the keys of the columns. */
  readonly cells: Readonly<Record<string, string>>;
  /** Why it cannot be picked, in a sentence; null: it can. */
  readonly refusal: string | null;
  /** It is shown whatever is typed. */
  readonly always?: true;
};

/** One of many to be picked: what is typed narrows them. */
export type PickLayer = {
  readonly kind: 'pick';
  readonly title: string;
  /** What it is that is typed, to follow "type": `a part of a name`. */
  readonly hint: string;
  readonly columns: readonly PickColumn[];
  readonly rows: readonly PickRow[];
  readonly edit: TextEdit;
  /** Index in the rows that are shown. */
  readonly cursor: number;
  readonly pick: (key: string) => void;
};

/** The rows that have every word that is typed. */
export function shownRows({ rows, edit }: Pick<PickLayer, 'rows' | 'edit'>): readonly PickRow[] {
  const words = edit.text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return rows;
  return rows.filter(({ cells, always }) => {
    if (always) return true;
    const text = Object.values(cells).join('\n').toLowerCase();
    return words.every(word => text.includes(word));
  });
}
