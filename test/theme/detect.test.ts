import { expect, test } from 'vitest';
import { detectTheme } from '../../src/theme/detect.ts';

const utf8 = { LANG: 'C.UTF-8', TERM: 'xterm-256color' };

test.each([
  [utf8, {}, { color: true, ascii: false }],
  [{ ...utf8, NO_COLOR: '1' }, {}, { color: false, ascii: false }],
  [{ ...utf8, NO_COLOR: '' }, {}, { color: true, ascii: false }],
  [{ ...utf8, TERM: 'dumb' }, {}, { color: false, ascii: true }],
  [{ ...utf8, TERM: 'linux' }, {}, { color: true, ascii: true }],
  [{ TERM: 'xterm', LANG: 'C' }, {}, { color: true, ascii: true }],
  [{ TERM: 'xterm', LANG: 'en_US.utf8', LC_ALL: 'C' }, {}, { color: true, ascii: true }],
  [utf8, { ascii: true, noColor: true }, { color: false, ascii: true }],
])('%j with %j is %j', (env, options, expected) => {
  expect(detectTheme(env, options)).toMatchObject(expected);
});

test('without color, no token has one, but each has a style', () => {
  const theme = detectTheme(utf8, { noColor: true });
  expect(theme.style('status.error')).toEqual({ bold: true });
  expect(theme.style('selection')).toEqual({ inverse: true });
});

test('a theme is chosen by the option, else by VRING_THEME', () => {
  const warning = (env: NodeJS.ProcessEnv, theme?: string) =>
    detectTheme(env, theme === undefined ? {} : { theme }).style('status.warning');
  expect(warning({ ...utf8, VRING_THEME: 'high-contrast' })).toEqual({ color: 'yellowBright', bold: true });
  expect(warning({ ...utf8, VRING_THEME: 'high-contrast' }, 'default')).toEqual({ color: 'yellow' });
  expect(() => detectTheme({ VRING_THEME: 'pink' })).toThrow('there is no theme "pink"; there are default, ');
});

test.each([
  [{}, { screenReader: true }],
  [{ INK_SCREEN_READER: 'true' }, {}],
])('%j and %j select lines without color, in ASCII', (env, options) => {
  expect(detectTheme({ ...utf8, ...env }, options)).toMatchObject({
    linear: true,
    color: false,
    ascii: true,
  });
});
