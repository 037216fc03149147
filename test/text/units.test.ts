import { describe, expect, test } from 'vitest';
import { quantity, roundTop, type Unit } from '../../src/text/units.ts';

describe('a quantity that is typed', () => {
  test.each<[string, Unit, number | null]>([
    ['50', 'share', 0.5],
    ['0.5%', 'share', 0.005],
    ['12k', 'count', 12_000],
    ['7', 'count', 7],
    ['4G', 'bytes', 4 * 2 ** 30],
    ['1.5m', 'bytes', 1.5 * 2 ** 20],
    ['2ms', 'nanoseconds', 2_000_000],
    ['850ns', 'nanoseconds', 850],
    ['1h', 'milliseconds', 3_600_000],
    ['90', 'milliseconds', 90_000],
    ['', 'count', null],
    ['-1', 'count', null],
    ['4GB', 'bytes', null],
    ['2ms', 'bytes', null],
    ['1e9', 'count', null],
    ['constructor', 'count', null],
    ['1constructor', 'count', null],
  ])('%s as %s is %s', (text, unit, expected) => {
    const found = quantity(text, unit);
    if (expected === null) expect(found).toBeNull();
    else expect(found).toBeCloseTo(expected, 9);
  });
});

test.each([
  [0, 100, 100],
  [100, 100, 100],
  [101, 100, 200],
  [201, 100, 500],
  [999, 100, 1000],
  [1000, 100, 1000],
  [1001, 100, 2000],
  [7_654_321, 100, 10_000_000],
])('the top of a graph of values up to %i is %i or more: %i', (value, least, expected) => {
  expect(roundTop(value, least)).toBe(expected);
});
