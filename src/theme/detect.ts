import { createTheme, type Theme } from './theme.ts';
import { THEME_NAMES, type ThemeName } from './themes.ts';

export type ThemeOptions = {
  /** Default: VRING_THEME. */
  readonly theme?: string;
  /** Forbids color. */
  readonly noColor?: boolean;
  /** Forbids characters beyond ASCII. */
  readonly ascii?: boolean;
  /** Lines for a screen reader instead of a full screen. Also enabled by INK_SCREEN_READER=true. */
  readonly screenReader?: boolean;
};

/**
 * The theme for a terminal: no color if NO_COLOR (no-color.org) is set or the terminal is dumb, ASCII unless the
 * terminal and the locale are known to support more.
 * @throws if there is no theme of that name
 */
export function detectTheme(env: NodeJS.ProcessEnv, options: ThemeOptions = {}): Theme {
  const dumb = env.TERM === 'dumb';
  return createTheme({
    name: themeName(options.theme ?? env.VRING_THEME ?? ''),
    color: !options.noColor && !dumb && !env.NO_COLOR,
    // The Linux console has 256 or 512 glyphs, none of them a sparkline's.
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

/** The first of these that is set wins (locale(7)). */
function utf8Locale(env: NodeJS.ProcessEnv): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  return /utf-?8/i.test(locale);
}

/**
 * The color depth for Ink's FORCE_COLOR: over SSH the 16 colors of the user's terminal, which suit slow connections and
 * old terminals. Undefined to detect the terminal's.
 */
export function colorDepth(env: NodeJS.ProcessEnv): '1' | undefined {
  if (env.FORCE_COLOR !== undefined) return undefined;
  return isRemote(env) ? '1' : undefined;
}

/** Whether the terminal is at the other end of an SSH connection. */
export function isRemote(env: NodeJS.ProcessEnv): boolean {
  return Boolean(env.SSH_CONNECTION || env.SSH_TTY);
}
