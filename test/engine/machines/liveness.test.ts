import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Liveness } from '../../../src/engine/machines/liveness.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const TICK = 100;

function watched(change: { isHeld?: () => boolean; isBuilding?: () => boolean } = {}) {
  const said: string[] = [];
  const asked: PromiseWithResolvers<null>[] = [];
  const liveness = new Liveness(
    {
      ask: () => {
        asked.push(Promise.withResolvers<null>());
        return asked.at(-1)!.promise;
      },
      isHeld: () => false,
      isBuilding: () => false,
      silent: () => said.push('silent'),
      answers: () => said.push('answers'),
      ...change,
    },
    TICK,
  );
  return { said, asked, liveness, ticks: (count: number) => vi.advanceTimersByTimeAsync(count * TICK) };
}

test('a machine that responds is pinged again and again', async () => {
  const { said, asked, ticks, liveness } = watched();
  for (let round = 1; round <= 5; round++) {
    await ticks(1);
    expect(asked).toHaveLength(round);
    if (round % 2) asked.at(-1)!.resolve(null);
    else asked.at(-1)!.reject(new Error('it does not know that command'));
  }
  liveness.stop();
  await ticks(5);
  expect(asked).toHaveLength(5);
  expect(said).toEqual([]);
});

test('a machine that does not respond is reported as silent after a while, once, until it responds', async () => {
  const { said, asked, ticks } = watched();
  await ticks(3);
  expect(said).toEqual([]);
  await ticks(10);
  expect(said).toEqual(['silent']);
  expect(asked).toHaveLength(1);
  asked[0]!.resolve(null);
  await ticks(1);
  expect(said).toEqual(['silent', 'answers']);
  expect(asked).toHaveLength(2);
});

test('a machine that is visibly blocked is silent sooner, unless it is blocked only for a moment', async () => {
  let held = true;
  const { said, ticks } = watched({ isHeld: () => held, isBuilding: () => true });
  await ticks(2);
  held = false;
  await ticks(1);
  held = true;
  await ticks(1);
  expect(said).toEqual([]);
  await ticks(1);
  expect(said).toEqual(['silent']);
});

test('a machine that is being built has more time, unless it is blocked', async () => {
  let held = false;
  const { said, ticks } = watched({ isBuilding: () => true, isHeld: () => held });
  await ticks(50);
  expect(said).toEqual([]);
  held = true;
  await ticks(2);
  expect(said).toEqual(['silent']);
});
