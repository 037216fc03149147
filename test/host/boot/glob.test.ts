import { expect, test } from 'vitest';
import { globMatches } from '../../../src/host/boot/glob.ts';

test.each([
  ['', '', true],
  ['*', '', true],
  ['a*c', 'abbc', true],
  ['a*c', 'abcd', false],
  ['*b*', 'abc', true],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['[a-cx]1', 'x1', true],
  ['[!a-c]1', 'b1', false],
  ['[]]', ']', true],
  ['a.c', 'abc', false],
  ['\\*', '*', true],
  ['[a', '[a', true],
])('%j on %j: %s', (pattern, text, expected) => {
  expect(globMatches(pattern, text)).toBe(expected);
});

test('a pattern of many stars is matched in bounded time', () => {
  expect(globMatches(`${'*a'.repeat(2000)}b`, 'a'.repeat(4000))).toBe(false);
});
