import { createTheme, type Theme } from './theme.ts';

export type ThemeOptions = {
  /** Forbids colour. */
  readonly noColor?: boolean;
  /** Forbids characters beyond ASCII. */
  readonly ascii?: boolean;
};

/**
 * The theme for a terminal: no colour where NO_COLOR (no-color.org) or a dumb terminal forbids it, ASCII where the
 * terminal or the locale is not known to show more.
 */
export function detectTheme(env: NodeJS.ProcessEnv, options: ThemeOptions = {}): Theme {
  const dumb = env.TERM === 'dumb';
  return createTheme({
    color: !options.noColor && !dumb && !env.NO_COLOR,
    // The kernel's own console has 256 or 512 glyphs, and the sparkline's are not among them.
    ascii: options.ascii || dumb || env.TERM === 'linux' || !utf8Locale(env),
  });
}

/** The first of these that is set counts (locale(7)). */
function utf8Locale(env: NodeJS.ProcessEnv): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  return /utf-?8/i.test(locale);
}
