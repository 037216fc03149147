/** Every character that is not ASCII and that the UI itself draws, so that there is one place to do without them. */
export type Glyphs = {
  readonly ellipsis: string;
  /** Before the row that the cursor is on. */
  readonly cursor: string;
  readonly rule: string;
  /** Beside the title of the column that a list is sorted by: the lowest is at the top, or the highest. */
  readonly sort: { readonly ascending: string; readonly descending: string };
  readonly separator: string;
  /** Levels of a sparkline, the lowest first. */
  readonly levels: readonly string[];
  /** Parts of a bar, by what they stand for; they differ in shape, too. */
  readonly bar: {
    readonly guest: string;
    readonly kvm: string;
    readonly devices: string;
    readonly idle: string;
  };
  /** Before a node of a tree, by whether what is below it is shown. */
  readonly fold: { readonly open: string; readonly closed: string };
  /** Beside the members of a group, from the first to the last. */
  readonly bracket: { readonly first: string; readonly middle: string; readonly last: string };
  /** Between two panes side by side. */
  readonly side: string;
  /** Ink's name of the border around dialogs; null: none. */
  readonly border: 'round' | 'classic' | null;
};

export const unicodeGlyphs: Glyphs = {
  ellipsis: '…',
  cursor: '>',
  rule: '─',
  sort: { ascending: '▲', descending: '▼' },
  separator: '·',
  levels: ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
  bar: { guest: '█', kvm: '▓', devices: '▒', idle: '·' },
  fold: { open: '▾', closed: '▸' },
  bracket: { first: '┌', middle: '│', last: '└' },
  side: '│',
  border: 'round',
};

export const plainGlyphs: Glyphs = {
  ellipsis: '~',
  cursor: '>',
  rule: '-',
  sort: { ascending: '^', descending: 'v' },
  separator: '-',
  levels: ['_', '.', ':', '-', '=', '+', '*', '#'],
  bar: { guest: '#', kvm: '+', devices: '=', idle: '.' },
  fold: { open: '-', closed: '+' },
  bracket: { first: '.', middle: '|', last: "'" },
  side: '|',
  border: 'classic',
};

/** What a screen reader should not read out is blank. */
export const spokenGlyphs: Glyphs = {
  ...plainGlyphs,
  ellipsis: '...',
  rule: ' ',
  separator: ',',
  levels: [' '],
  bar: { guest: ' ', kvm: ' ', devices: ' ', idle: ' ' },
  bracket: { first: ' ', middle: ' ', last: ' ' },
  side: ' ',
  border: null,
};
