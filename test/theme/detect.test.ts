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

test('without colour no token has one, and each has still a style', () => {
  const theme = detectTheme(utf8, { noColor: true });
  expect(theme.style('status.error')).toEqual({ bold: true });
  expect(theme.style('selection')).toEqual({ inverse: true });
});
