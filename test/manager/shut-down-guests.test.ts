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

test('guests that switch off in time are not killed', async () => {
  const engine = engineWith('web', 'db');
  const button = engine.powerButton;
  engine.powerButton = async id => {
    setImmediate(() => engine.become(id, 'off'));
    return await button(id);
  };
  expect(await shutDownGuests(engine, { timeoutMs: 10_000, hurry: never })).toEqual([]);
  expect(engine.calls).toEqual(['powerButton web', 'powerButton db']);
});

test('a paused guest goes on first, one that still starts is waited for, one that is off is left alone', async () => {
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

test('a suspended guest is woken up, and its button pressed until its driver is there', async () => {
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

test('those that do not are named: at the end of the time, or when it is cut short', async () => {
  const engine = engineWith('deaf', 'web');
  engine.powerButton = async id => {
    if (id === 'deaf') throw new Error('it has no button');
    engine.become(id, 'off');
    return { noticed: true };
  };
  expect(await shutDownGuests(engine, { timeoutMs: 50, hurry: never })).toEqual(['deaf']);
  expect(await shutDownGuests(engine, { timeoutMs: 60_000, hurry: Promise.resolve() })).toEqual(['deaf']);
});
