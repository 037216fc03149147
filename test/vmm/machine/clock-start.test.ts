import { expect, test } from 'vitest';
import { clockOffset, isClockStart } from '../../../src/vmm/machine/clock-start.ts';

test('a clock starts at UTC, local time or a time', () => {
  const now = Date.UTC(2026, 0, 1, 12);
  expect(clockOffset('utc', now)).toBe(0);
  expect(clockOffset('localtime', now)).toBe(-60_000 * new Date(now).getTimezoneOffset());
  expect(now + clockOffset('2006-06-17T16:01:21', now)).toBe(Date.UTC(2006, 5, 17, 16, 1, 21));
  expect(now + clockOffset('2006-06-17', now)).toBe(Date.UTC(2006, 5, 17));
});

test.each(['', 'UTC', '2006-13-01', '2006-06-17 16:01', 'tomorrow'])('rejects "%s"', text => {
  expect(isClockStart(text)).toBe(false);
});
