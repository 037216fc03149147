import type { TextEdit } from '../text/text-edit.ts';
import type { Align, Cut } from '../text/width.ts';

/** A column of a pick list, and how it shrinks on a narrow terminal. */
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
  /** Why it cannot be picked, in a sentence; null if it can. */
  readonly refusal: string | null;
  /** Shown whatever the filter. */
  readonly always?: true;
};

/** A list to pick one row from, filtered by typing. */
export type PickLayer = {
  readonly kind: 'pick';
  readonly title: string;
  /** What to type, to follow "type": `a part of a name`. */
  readonly hint: string;
  readonly columns: readonly PickColumn[];
  readonly rows: readonly PickRow[];
  readonly edit: TextEdit;
  /** Index among the visible rows. */
  readonly cursor: number;
  readonly pick: (key: string) => void;
};

/** The rows that contain every word typed. */
export function shownRows({ rows, edit }: Pick<PickLayer, 'rows' | 'edit'>): readonly PickRow[] {
  const words = edit.text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return rows;
  return rows.filter(({ cells, always }) => {
    if (always) return true;
    const text = Object.values(cells).join('\n').toLowerCase();
    return words.every(word => text.includes(word));
  });
}
