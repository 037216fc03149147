import { describe, expect, test } from 'vitest';
import { DEFAULT_UIDS, freeUid, parseUidRange } from '../../../src/manager/machines/uids.ts';

describe('a range of uids', () => {
  test('is FIRST-LAST, or off', () => {
    expect(parseUidRange('100000-100063', '--uids')).toEqual({ first: 100_000, last: 100_063 });
    expect(parseUidRange('7-7', '--uids')).toEqual({ first: 7, last: 7 });
    expect(parseUidRange('off', '--uids')).toBeNull();
    const { first, last } = DEFAULT_UIDS!;
    expect(parseUidRange(`${first}-${last}`, '--uids')).toEqual(DEFAULT_UIDS);
  });

  test.each(['', '5', '0-10', '9-8', '1-4294967295', '1-99999999999', 'a-b', '-5', '1-2-3', ' 1-2'])(
    'rejects "%s"',
    text => {
      expect(() => parseUidRange(text, 'VRING_UIDS')).toThrow(
        `VRING_UIDS "${text}" is not a range of uids: give FIRST-LAST, from 1 to 4294967293, or off`,
      );
    },
  );
});

test('each machine gets its own uid, and none when all are taken', () => {
  const range = { first: 10, last: 12 };
  expect(freeUid(range, new Set())).toBe(10);
  expect(freeUid(range, new Set([10, 12, 999]))).toBe(11);
  expect(() => freeUid(range, new Set([10, 11, 12]))).toThrow(
    'every uid from 10 to 12 is taken by a VM: give vring serve a larger range with --uids',
  );
});
