import { type Glyphs, plainGlyphs, unicodeGlyphs } from './glyphs.ts';

/** How Ink's Text draws something. */
export type Style = {
  readonly color?: string;
  readonly backgroundColor?: string;
  readonly bold?: boolean;
  readonly dimColor?: boolean;
  readonly underline?: boolean;
  readonly inverse?: boolean;
};

/** What a piece of text means; components name this, never a colour. */
export type Token =
  | 'text.primary'
  | 'text.secondary'
  | 'text.accent'
  | 'text.heading'
  | 'status.ok'
  | 'status.warning'
  | 'status.error'
  | 'selection'
  /** A line across the screen that says that something is wrong. */
  | 'banner'
  | 'focus'
  | 'key'
  | 'time.guest'
  | 'time.kvm'
  | 'time.devices';

export type Theme = {
  readonly color: boolean;
  /** Nothing but ASCII may be drawn. */
  readonly ascii: boolean;
  readonly glyphs: Glyphs;
  readonly style: (token: Token) => Style;
};

/** Of the 16 colours that every terminal lets its user choose. None of them is the only bearer of a meaning. */
const coloured: Readonly<Record<Token, Style>> = {
  'text.primary': {},
  'text.secondary': { dimColor: true },
  'text.accent': { color: 'cyan' },
  'text.heading': { bold: true },
  'status.ok': { color: 'green' },
  'status.warning': { color: 'yellow' },
  'status.error': { color: 'red', bold: true },
  selection: { inverse: true },
  banner: { color: 'yellow', inverse: true, bold: true },
  focus: { color: 'cyan', bold: true },
  key: { color: 'cyan', bold: true },
  'time.guest': { color: 'green' },
  'time.kvm': { color: 'yellow' },
  'time.devices': { color: 'magenta' },
};

/** With no colour there is still weight. */
const monochrome = Object.fromEntries(
  Object.entries(coloured).map(([token, { color: _, ...rest }]) => [token, rest]),
) as Readonly<Record<Token, Style>>;

export function createTheme({ color, ascii }: { color: boolean; ascii: boolean }): Theme {
  const styles = color ? coloured : monochrome;
  return { color, ascii, glyphs: ascii ? plainGlyphs : unicodeGlyphs, style: token => styles[token] };
}
