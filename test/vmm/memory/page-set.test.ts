import { describe, expect, test } from 'vitest';
import { PageSet } from '../../../src/vmm/memory/page-set.ts';
import { Random } from '../../support/random.ts';

const pagesOf = (set: PageSet) =>
  Array.from({ length: set.pages }, (_, page) => page).filter(page => set.has(page));
const fromRuns = (set: PageSet) =>
  [...set.runs()].flatMap(({ first, end }) => Array.from({ length: end - first }, (_, at) => first + at));

describe('a set of pages', () => {
  test('has the pages that a write touches, and none beyond its block', () => {
    const set = new PageSet(70);
    set.addBytes(4095, 2);
    set.addBytes(31 * 4096, 4096);
    set.addBytes(64 * 4096, 100 * 4096);
    set.addBytes(5 * 4096, 0);
    expect(pagesOf(set)).toEqual([0, 1, 31, 64, 65, 66, 67, 68, 69]);
    expect(set.size).toBe(9);
    expect([...set.runs()]).toEqual([
      { first: 0, end: 2 },
      { first: 31, end: 32 },
      { first: 64, end: 70 },
    ]);
    expect([set.has(-1), set.has(70)]).toEqual([false, false]);
  });

  test('matches a set of numbers', () => {
    const random = new Random(3);
    for (let round = 0; round < 200; round++) {
      const pages = 1 + random.below(200);
      const set = new PageSet(pages);
      const expected = new Set<number>();
      for (let step = 0; step < 6; step++) {
        const first = random.below(pages);
        const count = 1 + random.below(pages - first);
        if (random.below(2) === 0) {
          set.add(first, first + count);
          for (let page = first; page < first + count; page++) expected.add(page);
          continue;
        }
        // Bits beyond the count are garbage.
        const bits = Uint32Array.from(
          { length: Math.ceil(count / 64) * 2 },
          () => random.u32() & random.u32(),
        );
        set.addBits(bits, first, count);
        for (let bit = 0; bit < count; bit++) {
          if ((bits[bit >>> 5]! >>> (bit & 31)) & 1) expected.add(first + bit);
        }
      }
      const sorted = [...expected].sort((a, b) => a - b);
      expect(pagesOf(set)).toEqual(sorted);
      expect(fromRuns(set)).toEqual(sorted);
      expect(set.size).toBe(sorted.length);
      const union = new PageSet(pages);
      union.add(0, 1);
      union.addAll(set);
      expect(pagesOf(union)).toEqual([...new Set([0, ...sorted])]);
    }
  });
});
