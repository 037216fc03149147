import { type Glyphs, plainGlyphs, spokenGlyphs, unicodeGlyphs } from './glyphs.ts';
import { painter } from './paint.ts';
import { THEMES, type ThemeName } from './themes.ts';
import type { Style, Styles, Token } from './tokens.ts';

export type Theme = {
  readonly color: boolean;
  /** Only draw ASCII. */
  readonly ascii: boolean;
  /** For a screen reader: stacked vertically, without borders and bars. */
  readonly linear: boolean;
  readonly glyphs: Glyphs;
  readonly style: (token: Token) => Style;
  /** The text with the escape sequences of that style: cheaper than a Text of its own within another one. */
  readonly paint: (token: Token, text: string) => string;
};

export type ThemeChoice = {
  /** Default: `default`. */
  readonly name?: ThemeName;
  /** False: only bold and dim, whatever the theme. */
  readonly color: boolean;
  readonly ascii: boolean;
  readonly linear?: boolean;
};

export function createTheme({ name = 'default', color, ascii, linear = false }: ThemeChoice): Theme {
  const colored = color && name !== 'mono' && !linear;
  const styles = colored ? THEMES[name] : withoutColor(THEMES[name]);
  const glyphs = linear ? spokenGlyphs : ascii ? plainGlyphs : unicodeGlyphs;
  const painters = Object.fromEntries(
    Object.entries(styles).map(([token, style]) => [token, painter(style)]),
  ) as Record<Token, (text: string) => string>;
  return {
    color: colored,
    ascii: ascii || linear,
    linear,
    glyphs,
    style: token => styles[token],
    paint: (token, text) => painters[token](text),
  };
}

/** Without color, bold and dim remain. */
function withoutColor(styles: Styles): Styles {
  return Object.fromEntries(
    Object.entries(styles).map(([token, { color: _, backgroundColor: __, ...rest }]) => [token, rest]),
  ) as Styles;
}
