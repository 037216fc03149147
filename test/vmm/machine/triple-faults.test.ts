import { expect, test } from 'vitest';
import { TripleFaults } from '../../../src/vmm/machine/triple-faults.ts';

test('ten triple faults in a minute reset a machine, and another one stops it', () => {
  let now = 0;
  const faults = new TripleFaults(() => now);
  const take = (count: number, everyMs: number) =>
    Array.from({ length: count }, () => {
      now += everyMs;
      return faults.mayReset();
    });
  expect(take(100, 6000)).not.toContain(false);
  now += 60_000;
  expect(take(11, 1000)).toEqual([...new Array(10).fill(true), false]);
  now += 60_000;
  expect(faults.mayReset()).toBe(true);
});
