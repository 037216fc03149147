import { describe, expect, test } from 'vitest';
import { pad, truncateMiddle, width } from '../../src/text/width.ts';

describe('a name truncated in the middle', () => {
  test.each([
    ['prod-web', 8, 'prod-web'],
    ['prod-web-eu-west-1-0042', 14, 'prod-web…-0042'],
    ['prod-web-eu-west-1-0042', 5, 'pro…2'],
    ['prod-web-eu-west-1-0042', 3, 'pr…'],
    ['prod-web-eu-west-1-0042', 2, 'p…'],
    ['prod-web-eu-west-1-0042', 1, '…'],
    ['prod-web-eu-west-1-0042', 0, ''],
    ['データベース-0042', 10, 'データ…042'],
    ['データベース', 7, 'デー…ス'],
  ])('%s in %i cells is %s', (text, cells, expected) => {
    expect(truncateMiddle(text, cells)).toBe(expected);
    expect(width(truncateMiddle(text, cells))).toBeLessThanOrEqual(cells);
  });

  test('keeps both ends at every width', () => {
    const name = `first${'-'.repeat(53)}last9`;
    for (let cells = 12; cells < name.length; cells++) {
      const cut = truncateMiddle(name, cells);
      expect(cut).toMatch(/^first.*…(.*t)?9$/);
      expect(width(cut)).toBe(cells);
    }
  });
});

test('a part that is never truncated may exceed the width', () => {
  expect(pad('10000:e1:00.0', 7, 'left', '…', 'never')).toBe('10000:e1:00.0');
  expect(pad('e1:00.0', 9, 'left', '…', 'never')).toBe('e1:00.0  ');
});
