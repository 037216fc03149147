import { createTheme, type Theme } from './theme.ts';
import { THEME_NAMES, type ThemeName } from './themes.ts';

export type ThemeOptions = {
  /** VRING_THEME's when absent. */
  readonly theme?: string;
  /** Forbids color. */
  readonly noColor?: boolean;
  /** Forbids characters beyond ASCII. */
  readonly ascii?: boolean;
  /** Lines to be read out, in place of a picture. INK_SCREEN_READER=true says so, too. */
  readonly screenReader?: boolean;
};

/**
 * The theme for a terminal: no color where NO_COLOR (no-color.org) or a dumb terminal forbids it, ASCII where the
 * terminal or the locale is not known to show more.
 * @throws where there is no theme of the name that is asked for
 */
export function detectTheme(env: NodeJS.ProcessEnv, options: ThemeOptions = {}): Theme {
  const dumb = env.TERM === 'dumb';
  return createTheme({
    name: themeName(options.theme ?? env.VRING_THEME ?? ''),
    color: !options.noColor && !dumb && !env.NO_COLOR,
    // The kernel's own console has 256 or 512 glyphs, and the sparkline's are not among them.
    ascii: options.ascii || dumb || env.TERM === 'linux' || !utf8Locale(env),
    linear: options.screenReader || env.INK_SCREEN_READER === 'true',
  });
}

function themeName(name: string): ThemeName {
  if (name === '') return 'default';
  const found = THEME_NAMES.find(theme => theme === name);
  if (found === undefined)
    throw new Error(`there is no theme ${JSON.stringify(name)}; there are ${THEME_NAMES.join(', ')}`);
  return found;
}

/** The first of these that is set counts (locale(7)). */
function utf8Locale(env: NodeJS.ProcessEnv): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  return /utf-?8/i.test(locale);
}

/**
 * How many colors may be used, as Ink's FORCE_COLOR says it: over SSH the 16 that the user has chosen for the terminal,
 * which a slow line and an old terminal can take. Undefined: what the terminal is found to have.
 */
export function colorDepth(env: NodeJS.ProcessEnv): '1' | undefined {
  if (env.FORCE_COLOR !== undefined) return undefined;
  return env.SSH_CONNECTION || env.SSH_TTY ? '1' : undefined;
}
