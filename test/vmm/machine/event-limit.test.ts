import { expect, test } from 'vitest';
import { EventLimit } from '../../../src/vmm/machine/event-limit.ts';

const event = (text: string) => ({ at: 5, level: 'error', text }) as const;
const texts = (events: readonly { readonly text: string }[]) => events.map(({ text }) => text);

test('admits a burst, then one event a second, with the number of dropped ones', () => {
  const limit = new EventLimit();
  const admitted = Array.from({ length: 1000 }, (_, index) => limit.admit(event(`${index}`), 0)).flat();
  expect(texts(admitted)).toEqual(Array.from({ length: 20 }, (_, index) => `${index}`));
  expect(limit.admit(event('too early'), 999)).toEqual([]);
  expect(texts(limit.admit(event('later'), 1000))).toEqual([
    '981 more events were not logged: there were too many',
    'later',
  ]);
  expect(limit.admit(event('again'), 1000)).toEqual([]);
  expect(texts(limit.admit(event('last'), 2000))).toEqual([
    '1 more event was not logged: there were too many',
    'last',
  ]);
});

test('reports the number dropped last on request', () => {
  const limit = new EventLimit({ burst: 1, everyMs: 10 });
  expect(limit.rest(7)).toEqual([]);
  for (let index = 0; index < 4; index++) limit.admit(event('x'), 0);
  expect(limit.rest(7)).toEqual([
    { at: 7, level: 'warning', text: '3 more events were not logged: there were too many' },
  ]);
  expect(limit.rest(8)).toEqual([]);
});

test('allows no more than one burst after a long pause', () => {
  const limit = new EventLimit({ burst: 3, everyMs: 10 });
  const admitted = Array.from({ length: 10 }, () => limit.admit(event('x'), 1_000_000));
  expect(admitted.flat()).toHaveLength(3);
});
