import { beforeEach, describe, expect, test } from 'vitest';
import { report } from '../../src/commands/report.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { busy, complete } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';

let clock: ManualClock;
let engine: FakeEngine;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
});

/** Watches for two seconds, which pass at once. */
async function watched(id: string, json: boolean): Promise<string> {
  const text = report(engine, id, { afterMs: 2000, json, clock });
  clock.advance(2000);
  return await text;
}

describe('the report of a VM', () => {
  test('as text has exits, time, queues and the last console lines', async () => {
    const id = engine.add('demo', busy);
    engine.print(id, 'boot\r\n\x1b[1mlogin: \x1b]0;evil\x07\rLOGIN: ');
    const text = await watched(id, false);
    expect(text).toMatchSnapshot();
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(text).toMatch(/^[\x20-\x7e\n]*$/);
  });

  test('as JSON has the same facts under stable names', async () => {
    const devices = complete.devices!.filter(({ backend }) => backend === 'disk');
    const id = engine.add('demo', { ...busy, devices });
    engine.print(id, 'ready\n');
    expect(JSON.parse(await watched(id, true))).toMatchSnapshot();
  });

  test('has the reason of its end', async () => {
    const id = engine.add('demo', busy, { broken: { rng0: 'the ring is not in RAM' } });
    const text = report(engine, id, { afterMs: 2000, json: false, clock });
    engine.become(id, 'crashed', { reason: 'triple fault', exitCode: null });
    clock.advance(2000);
    expect(await text).toMatch(/^demo: crashed, .*\ntriple fault\nrng0 is broken: the ring is not in RAM\n/);
  });

  test('is rejected without two comparable samples', async () => {
    const id = engine.add('demo', busy);
    const text = report(engine, id, { afterMs: 2000, json: false, clock });
    engine.renew(id, busy);
    clock.advance(2000);
    await expect(text).rejects.toThrow(/demo is running: start it first/);
  });
});
