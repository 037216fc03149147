import { expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { shutDownGuests } from '../../src/manager/shut-down-guests.ts';
import { FakeEngine } from '../support/fake-engine.ts';

const IDLE = { vcpus: [{ exits: {}, guest: 0, kvm: 0 }] } as const;
const never = new Promise<void>(() => {});

function engineWith(...names: string[]): FakeEngine {
  const engine = new FakeEngine(systemClock);
  for (const name of names) engine.add(name, IDLE);
  return engine;
}

test('guests that power off in time are not killed', async () => {
  const engine = engineWith('web', 'db');
  const button = engine.powerButton;
  engine.powerButton = async id => {
    setImmediate(() => engine.become(id, 'off'));
    return await button(id);
  };
  expect(await shutDownGuests(engine, { timeoutMs: 10_000, hurry: never })).toEqual([]);
  expect(engine.calls).toEqual(['powerButton web', 'powerButton db']);
});

test('resumes a paused guest first, waits for one that is starting, and skips one that is off', async () => {
  const engine = engineWith('paused', 'starting', 'off');
  engine.become('paused', 'paused');
  engine.become('starting', 'starting');
  engine.become('off', 'off');
  setImmediate(() => engine.become('starting', 'running'));
  const button = engine.powerButton;
  engine.powerButton = async id => {
    engine.become(id, 'off');
    return await button(id);
  };
  expect(await shutDownGuests(engine, { timeoutMs: 10_000, hurry: never })).toEqual([]);
  expect(engine.calls).toEqual(['resume paused', 'powerButton paused', 'powerButton starting']);
});

test('wakes a suspended guest, and presses the power button until its driver is ready', async () => {
  const engine = engineWith('asleep');
  engine.become('asleep', 'suspended');
  let pressed = 0;
  engine.powerButton = async id => {
    if (++pressed < 2) return { noticed: false };
    engine.become(id, 'off');
    return { noticed: true };
  };
  expect(await shutDownGuests(engine, { timeoutMs: 10_000, hurry: never })).toEqual([]);
  expect([engine.calls, pressed]).toEqual([['wake asleep'], 2]);
});

test('names guests that do not power off, when the time is over or cut short', async () => {
  const engine = engineWith('deaf', 'web');
  engine.powerButton = async id => {
    if (id === 'deaf') throw new Error('it has no button');
    engine.become(id, 'off');
    return { noticed: true };
  };
  expect(await shutDownGuests(engine, { timeoutMs: 50, hurry: never })).toEqual(['deaf']);
  expect(await shutDownGuests(engine, { timeoutMs: 60_000, hurry: Promise.resolve() })).toEqual(['deaf']);
});
