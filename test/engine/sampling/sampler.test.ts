import { describe, expect, test } from 'vitest';
import { MAX_QUEUE_LOADS } from '../../../src/engine/sampling/queue-load.ts';
import type { Sample } from '../../../src/engine/sampling/sampling.ts';
import { FakeEngine } from '../../support/fake-engine.ts';
import { busy, idle } from '../../support/guest-scripts.ts';
import { ManualClock } from '../../support/manual-clock.ts';

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

test('has rates soon after a VM starts to run', () => {
  const { clock, engine, samples } = rig();
  clock.advance(300);
  engine.add('db', busy);
  clock.advance(250);
  expect(Object.keys(samples.at(-1)!.totals)).toEqual(['web', 'db']);
});

test('continues while a VM restarts again and again', () => {
  const { clock, engine, samples } = rig();
  for (let start = 0; start < 20; start++) {
    engine.become('web', 'off');
    engine.become('web', 'running');
    clock.advance(200);
  }
  expect(samples.length).toBeGreaterThanOrEqual(4);
  expect(samples.at(-1)!.totals.web!.exits).toBeCloseTo(1544, -2);
});

describe('the queues of all VMs', () => {
  function sampled(settings: { readonly queues?: boolean }) {
    const clock = new ManualClock();
    const engine = new FakeEngine(clock);
    const samples: Sample[] = [];
    engine.add('web', busy);
    engine.add('db', idle);
    engine.add('old', busy, { state: 'off' });
    const sampling = engine.sampling(
      { intervalMs: 1000, paused: false, detailOf: null, ...settings },
      sample => samples.push(sample),
    );
    clock.advance(250);
    return { clock, engine, samples, sampling };
  }

  test('are sampled for as long as they are requested', () => {
    const { clock, samples, sampling } = sampled({});
    expect(samples.at(-1)!.queues).toBeNull();
    sampling.configure({ queues: true });
    // At once, of the last sample.
    expect(samples.at(-1)!.at).toBe(samples[0]!.at);
    expect(Object.keys(samples.at(-1)!.queues!.byVm)).toEqual(['web']);
    sampling.configure({ queues: false });
    expect(samples.at(-1)!.queues).toBeNull();
    clock.advance(1000);
    expect(samples.at(-1)!.queues).toBeNull();
  });

  test("have their rates and latencies, in the order of each VM's topology", () => {
    const { samples } = sampled({ queues: true });
    const [disk, entropy] = samples.at(-1)!.queues!.byVm.web!;
    expect(disk!.requests).toBeCloseTo(20_000);
    expect(disk!.kicks).toBeCloseTo(5000);
    expect(disk!.interrupts).toBeCloseTo(4000);
    expect(disk!.bytesToGuest).toBeCloseTo(80 * 2 ** 20);
    expect(disk!.depth).toBeCloseTo(32);
    // All requests are in the bucket [2^16, 2^17) ns.
    expect(disk!.p50Ns).toBeCloseTo(2 ** 16 * 1.5);
    expect(disk!.p99Ns).toBeCloseTo(2 ** 16 * 1.99);
    expect(entropy!.requests).toBeCloseTo(4);
  });

  test('that completed nothing have no latency', () => {
    const { clock, engine, samples } = sampled({ queues: true });
    const none = { requests: 0, kicks: 0, interrupts: 0, bytesToGuest: 0, bytesFromGuest: 0, inFlight: 0 };
    engine.renew('web', { ...busy, queues: busy.queues!.map(queue => ({ ...queue, ...none })) });
    clock.advance(2000);
    expect(samples.at(-1)!.queues!.byVm.web![0]).toMatchObject({ requests: 0, p50Ns: null, p99Ns: null });
  });

  test('are bounded: VMs beyond the limit are omitted, and counted', () => {
    const { clock, engine, samples } = sampled({ queues: true });
    const web = engine.vms().find(({ id }) => id === 'web')!;
    const label = web.topology!.queues[0]!;
    const queues = Array.from({ length: MAX_QUEUE_LOADS - 1 }, () => label);
    engine.become('db', 'running', { topology: { ...web.topology!, queues } });
    clock.advance(1000);
    const { byVm, omitted } = samples.at(-1)!.queues!;
    expect(Object.keys(byVm)).toEqual(['web']);
    expect(omitted).toBe(MAX_QUEUE_LOADS - 1);
  });
});
