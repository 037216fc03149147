import { describe, expect, test } from 'vitest';
import { colorDepth } from '../../src/theme/detect.ts';
import { createTheme } from '../../src/theme/theme.ts';
import { THEME_NAMES, THEMES } from '../../src/theme/themes.ts';

const SIXTEEN = /^(black|red|green|yellow|blue|magenta|cyan|white)(Bright)?$/;

describe.each(THEME_NAMES)('the theme %s', name => {
  test("uses only the terminal's 16 colors", () => {
    for (const { color, backgroundColor } of Object.values(THEMES[name])) {
      for (const used of [color, backgroundColor]) if (used !== undefined) expect(used).toMatch(SIXTEEN);
    }
  });

  test('has a selection and a banner that are visible without color', () => {
    const { style } = createTheme({ name, color: false, ascii: false });
    expect(style('selection')).toMatchObject({ inverse: true });
    expect(style('banner')).toMatchObject({ inverse: true });
    expect(style('status.error')).toMatchObject({ bold: true });
  });
});

test('the color-blind theme uses neither red nor green for states', () => {
  const { style } = createTheme({ name: 'color-blind', color: true, ascii: false });
  const used = (['status.ok', 'status.warning', 'status.error'] as const).map(token => style(token).color);
  expect(used.join()).not.toMatch(/red|green/);
  expect(new Set(used).size).toBe(3);
});

test('high contrast has nothing dim', () => {
  expect(JSON.stringify(THEMES['high-contrast'])).not.toContain('dim');
});

test('mono has no color, whatever the terminal has', () => {
  expect(createTheme({ name: 'mono', color: true, ascii: false }).color).toBe(false);
});

test.each([
  [{}, undefined],
  [{ SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22' }, '1'],
  [{ SSH_TTY: '/dev/pts/3', COLORTERM: 'truecolor' }, '1'],
  [{ SSH_TTY: '/dev/pts/3', FORCE_COLOR: '3' }, undefined],
])('with %j the depth of color is %j', (env, expected) => {
  expect(colorDepth(env)).toBe(expected);
});
