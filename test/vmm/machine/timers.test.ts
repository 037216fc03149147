import { expect, test } from 'vitest';
import { Timers } from '../../../src/vmm/machine/timers.ts';

test('fires due timers in order of their deadlines', () => {
  const timers = new Timers();
  const fired: string[] = [];
  timers.at(30n, () => fired.push('late'));
  timers.at(10n, () => fired.push('first'));
  timers.at(20n, () => fired.push('second'));
  expect(timers.next).toBe(10n);
  timers.fire(20n);
  expect(fired).toEqual(['first', 'second']);
  expect(timers.next).toBe(30n);
});

test('a canceled timer does not fire, even if an earlier one cancels it', () => {
  const timers = new Timers();
  const fired: string[] = [];
  let cancel = () => {};
  timers.at(1n, () => cancel());
  cancel = timers.at(2n, () => fired.push('canceled'));
  timers.fire(10n);
  expect(fired).toEqual([]);
  expect(timers.next).toBeNull();
});

test('a timer that rearms itself for now does not fire forever', () => {
  const timers = new Timers();
  let count = 0;
  const again = () => {
    count += 1;
    timers.at(0n, again);
  };
  timers.at(0n, again);
  timers.fire(1n);
  expect(count).toBe(1);
});
