import { expect, test, vi } from 'vitest';

// Ink's colors look at it once, when they are loaded.
vi.hoisted(() => {
  process.env.FORCE_COLOR = '1';
});

import { Text } from 'ink';
import { render } from 'ink-testing-library';
import { createTheme } from '../../src/theme/theme.ts';
import { THEME_NAMES, THEMES } from '../../src/theme/themes.ts';
import type { Token } from '../../src/theme/tokens.ts';

const TOKENS = Object.keys(THEMES.default) as Token[];

test.each(THEME_NAMES)('painted in the theme %s, a text looks like a Text of that style', name => {
  for (const color of [true, false]) {
    const { style, paint } = createTheme({ name, color, ascii: false });
    for (const token of TOKENS) {
      const nested = render(
        <Text {...style('selection')}>
          a<Text {...style(token)}>b c</Text>d
        </Text>,
      );
      const painted = render(<Text {...style('selection')}>{`a${paint(token, 'b c')}d`}</Text>);
      expect(painted.lastFrame()).toBe(nested.lastFrame());
    }
  }
});

test('an empty text is painted as an empty text', () => {
  expect(createTheme({ color: true, ascii: false }).paint('status.error', '')).toBe('');
});
