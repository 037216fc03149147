import { expect, test } from 'vitest';
import type { Sample } from '../../../src/engine/sampling/sampling.ts';
import { FakeEngine } from '../../ui/fake-engine.ts';
import { ManualClock } from '../../ui/manual-clock.ts';
import { busy } from '../../ui/scripts.ts';

function rig() {
  const clock = new ManualClock();
  const engine = new FakeEngine(clock);
  engine.add('web', busy);
  const samples: Sample[] = [];
  engine.sampling({ intervalMs: 1000, paused: false, detailOf: null }, sample => samples.push(sample));
  return { clock, engine, samples };
}

test('has rates soon, then each second', () => {
  const { clock, samples } = rig();
  clock.advance(250);
  expect(samples).toHaveLength(1);
  clock.advance(3000);
  expect(samples).toHaveLength(4);
  expect(samples.at(-1)!.totals.web!.exits).toBeCloseTo(1544);
});

test('has rates of a VM that begins to run soon', () => {
  const { clock, engine, samples } = rig();
  clock.advance(300);
  engine.add('db', busy);
  clock.advance(250);
  expect(Object.keys(samples.at(-1)!.totals)).toEqual(['web', 'db']);
});

test('goes on while a VM starts again and again', () => {
  const { clock, engine, samples } = rig();
  for (let start = 0; start < 20; start++) {
    engine.become('web', 'off');
    engine.become('web', 'running');
    clock.advance(200);
  }
  expect(samples.length).toBeGreaterThanOrEqual(4);
  expect(samples.at(-1)!.totals.web!.exits).toBeCloseTo(1544, -2);
});
