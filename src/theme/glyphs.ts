/** All non-ASCII characters that the UI draws, in one place, so that they can be replaced. */
export type Glyphs = {
  readonly ellipsis: string;
  /** Before the row with the cursor. */
  readonly cursor: string;
  readonly rule: string;
  /** Next to the title of the sort column: ascending or descending. */
  readonly sort: { readonly ascending: string; readonly descending: string };
  readonly separator: string;
  /** Levels of a sparkline, the lowest first. */
  readonly levels: readonly string[];
  /** Parts of a bar, by meaning; they differ in shape, too. */
  readonly bar: {
    readonly guest: string;
    readonly kvm: string;
    readonly devices: string;
    readonly idle: string;
  };
  /** Before a node of a tree: expanded or collapsed. */
  readonly fold: { readonly open: string; readonly closed: string };
  /** Next to the members of a group, from the first to the last. */
  readonly bracket: { readonly first: string; readonly middle: string; readonly last: string };
  /** Between two panes side by side. */
  readonly side: string;
  /** Ink's name of the border around dialogs; null for none. */
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

/** Blank: decoration that a screen reader should not read out. */
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
