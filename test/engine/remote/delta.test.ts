import { describe, expect, test } from 'vitest';
import { applyDelta, type Delta, DeltaError, deltaOf, type Json } from '../../../src/engine/remote/delta.ts';

describe('the difference between two values', () => {
  test.each<[string, Json, Json, Delta | undefined]>([
    ['is nothing for equal ones', { a: [1, { b: null }] }, { a: [1, { b: null }] }, undefined],
    ['is the positions that changed, and no names', { a: 1, b: 2, c: 3 }, { a: 1, b: 5, c: 6 }, [1, 5, 2, 6]],
    ['goes into what is nested', { a: [1, 2, { b: 'x' }] }, { a: [1, 2, { b: 'y' }] }, [0, [2, [0, 'y']]]],
    ['replaces an array of another length', { a: [1] }, { a: [1, 2] }, [0, { '=': [1, 2] }]],
    ['replaces a scalar with an object', { a: null }, { a: { b: 1 } }, [0, { '=': { b: 1 } }]],
    ['replaces an object with a scalar', { a: { b: 1 } }, { a: null }, [0, null]],
    [
      'drops and adds keys',
      { a: 1, b: 2, c: 3 },
      { b: 2, c: 4, d: 5 },
      { '-': [0], '~': [2, 4], '+': { d: 5 } },
    ],
    ['may be of the value itself', 1, 'one', 'one'],
  ])('%s', (_, before, after, delta) => {
    expect(deltaOf(before, after)).toEqual(delta);
    if (delta !== undefined) expect(applyDelta(before, delta)).toEqual(after);
  });

  test('leads from any value to any other, over JSON, repeatedly', () => {
    const random = seeded(1);
    let sent: Json = randomValue(random, 4);
    let received = sent;
    for (let round = 0; round < 2000; round++) {
      const next: Json = random() < 0.1 ? randomValue(random, 4) : mutated(random, sent);
      const delta = deltaOf(sent, next);
      if (delta !== undefined) {
        sent = applyDelta(sent, delta);
        received = applyDelta(received, JSON.parse(JSON.stringify(delta)));
      }
      expect(received).toEqual(next);
      // Positions count keys in their order: it has to be the same at both ends.
      expect(JSON.stringify(received)).toBe(JSON.stringify(sent));
    }
  });

  test('shares unchanged parts with the previous value', () => {
    const before = { a: { big: [1, 2, 3] }, b: 1 };
    const after = applyDelta(before, [1, 2]) as typeof before;
    expect(after.a).toBe(before.a);
  });

  test.each<[Json, unknown]>([
    [{ a: 1 }, [1, 5]],
    [{ a: 1 }, [-1, 5]],
    [{ a: 1 }, [0.5, 5]],
    [{ a: 1 }, ['a', 5]],
    [[1], [0]],
    [1, [0, 1]],
    [[1], { '~': [0, 1] }],
  ])('is rejected when it does not apply: %j and %j', (before, delta) => {
    expect(() => applyDelta(before, delta as Delta)).toThrow(DeltaError);
  });
});

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
}

const KEYS = ['a', 'b', 'c', '10', '2', 'constructor', '__proto__'];

function randomValue(random: () => number, depth: number): Json {
  const kind = Math.floor(random() * (depth > 0 ? 5 : 3));
  if (kind === 0) return Math.floor(random() * 100);
  if (kind === 1) return `s${Math.floor(random() * 10)}`;
  if (kind === 2) return null;
  if (kind === 3)
    return Array.from({ length: Math.floor(random() * 4) }, () => randomValue(random, depth - 1));
  const keys = KEYS.filter(() => random() < 0.5);
  return Object.fromEntries(keys.map(key => [key, randomValue(random, depth - 1)]));
}

function mutated(random: () => number, value: Json): Json {
  if (random() < 0.2 || typeof value !== 'object' || value === null) return randomValue(random, 3);
  if (Array.isArray(value)) return value.map(item => (random() < 0.3 ? mutated(random, item) : item));
  const entries = Object.entries(value).filter(() => random() < 0.9);
  return Object.fromEntries(
    entries.map(([key, item]) => [key, random() < 0.3 ? mutated(random, item) : item]),
  );
}
