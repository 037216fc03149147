import type { Styles } from './tokens.ts';

/** Uses the 16 colors that users can configure in every terminal. No meaning depends on color alone. */
const standard: Styles = {
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

/** Blue and yellow, for users who can't distinguish red from green; errors are underlined, too. */
const colorBlind: Styles = {
  ...standard,
  'status.ok': { color: 'blueBright' },
  'status.warning': { color: 'yellow' },
  'status.error': { color: 'yellowBright', bold: true, underline: true },
  'time.guest': { color: 'blueBright' },
  'time.kvm': { color: 'yellow' },
  'time.devices': { color: 'white', bold: true },
};

/** Nothing dim, bright colors, and bold for everything important. */
const highContrast: Styles = {
  ...standard,
  'text.secondary': {},
  'text.accent': { color: 'cyanBright', bold: true },
  'text.heading': { bold: true, underline: true },
  'status.ok': { color: 'greenBright', bold: true },
  'status.warning': { color: 'yellowBright', bold: true },
  'status.error': { color: 'whiteBright', backgroundColor: 'red', bold: true },
  selection: { inverse: true, bold: true },
  banner: { color: 'yellowBright', inverse: true, bold: true },
  focus: { color: 'cyanBright', bold: true, underline: true },
  key: { color: 'yellowBright', bold: true },
  'time.guest': { color: 'greenBright' },
  'time.kvm': { color: 'yellowBright' },
  'time.devices': { color: 'magentaBright' },
};

/** By the names for `--theme` and VRING_THEME. `mono` is `default` without colors. */
export const THEMES = {
  default: standard,
  'color-blind': colorBlind,
  mono: standard,
  'high-contrast': highContrast,
} as const satisfies Readonly<Record<string, Styles>>;

export type ThemeName = keyof typeof THEMES;
export const THEME_NAMES = Object.keys(THEMES) as ThemeName[];
