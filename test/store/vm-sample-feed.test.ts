import { beforeEach, describe, expect, test } from 'vitest';
import { topRows } from '../../src/commands/top/rows.ts';
import type { Sample } from '../../src/engine/sampling/sampling.ts';
import { type AppStore, createAppStore } from '../../src/store/app-store.ts';
import { HISTORY_LENGTH } from '../../src/store/history.ts';
import { SampleFeed } from '../../src/store/vm-sample-feed.ts';
import { own } from '../../src/text/own.ts';
import { vmListed } from '../../src/view/vm-columns.ts';
import { EXIT } from '../../src/vmm/kvm/constants.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { busy, idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';

let clock: ManualClock;
let engine: FakeEngine;
let store: AppStore;
let id: string;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
  store = createAppStore();
  id = engine.add('demo', busy);
  store.getState().vmsListed(engine.vms());
  engine.subscribe(event => {
    if (event.kind === 'vm') store.getState().vmChanged(event.vm);
    if (event.kind === 'removed') store.getState().vmRemoved(event.id);
  });
});

function sample() {
  return new SampleFeed(engine, store);
}

const exitsPerSecond = () => store.getState().totals[id]?.exits;
const totalOf = (reason: number) =>
  store.getState().detail?.rates.vcpus[0]?.exits.find(exit => exit.reason === reason)?.total;

test('has the first rates after a quarter of a second', () => {
  sample();
  expect(exitsPerSecond()).toBeUndefined();
  clock.advance(249);
  expect(exitsPerSecond()).toBeUndefined();
  clock.advance(1);
  expect(exitsPerSecond()).toBeCloseTo(1544, -1);
});

test('keeps 120 samples of each VM', () => {
  sample();
  clock.advance(250 + 200 * 1000);
  expect(store.getState().histories[id]!.exits).toHaveLength(HISTORY_LENGTH);
});

test('samples at the interval that was chosen', () => {
  sample();
  store.getState().setSampling({ intervalMs: 100 });
  clock.advance(250);
  const before = store.getState().histories[id]!.exits.length;
  clock.advance(1000);
  expect(store.getState().histories[id]!.exits.length - before).toBe(10);
});

test('keeps the numbers while it is paused, and has rates soon after', () => {
  sample();
  clock.advance(250);
  store.getState().setSampling({ paused: true });
  const frozen = store.getState().totals;
  clock.advance(10_000);
  expect(store.getState().totals).toBe(frozen);
  engine.renew(id, idle);
  store.getState().setSampling({ paused: false });
  clock.advance(250);
  expect(exitsPerSecond()).toBe(0);
});

describe('a VM that is restarted', () => {
  test('has no rate across the restart', () => {
    sample();
    clock.advance(250);
    engine.become(id, 'off');
    engine.renew(id, busy);
    engine.become(id, 'running');
    clock.advance(250);
    expect(exitsPerSecond()).toBeCloseTo(1544, -1);
  });

  test('counts its totals from its new start', () => {
    const samples = sample();
    store.getState().openScreen({ kind: 'vm', id });
    clock.advance(250);
    samples.resetTotals();
    engine.renew(id, busy);
    engine.become(id, 'off');
    engine.become(id, 'running');
    clock.advance(250);
    expect(totalOf(EXIT.IO)).toBeCloseTo(300, -1);
  });
});

test('a VM that starts to run has rates a quarter of a second later, whatever the interval', () => {
  store.getState().setSampling({ intervalMs: 5000 });
  sample();
  clock.advance(250);
  const late = engine.add('late', busy);
  clock.advance(250);
  expect(store.getState().totals[late]!.exits).toBeCloseTo(1544, -1);
});

test('a VM that ended has no rates', () => {
  sample();
  clock.advance(250);
  engine.become(id, 'off');
  clock.advance(1000);
  expect(store.getState().totals).not.toHaveProperty(id);
});

test('samples details only of the VM whose screen is open', () => {
  const other = engine.add('other', idle);
  sample();
  clock.advance(250);
  expect(store.getState().detail).toBeNull();
  store.getState().openScreen({ kind: 'vm', id });
  expect(store.getState().detail).toMatchObject({ id, rates: { vcpus: [{ index: 0 }] } });
  store.getState().openScreen({ kind: 'vm', id: other });
  expect(store.getState().detail!.id).toBe(other);
});

test('totals count from the last sample on when they are reset', () => {
  const samples = sample();
  store.getState().openScreen({ kind: 'vm', id });
  clock.advance(1250);
  expect(totalOf(EXIT.IO)).toBeGreaterThan(80_000);
  samples.resetTotals();
  expect(totalOf(EXIT.IO)).toBeUndefined();
  clock.advance(1000);
  expect(totalOf(EXIT.IO)).toBe(1200);
});

test('an idle VM keeps the same totals object, so that its row is not redrawn', () => {
  const quiet = engine.add('quiet', idle);
  sample();
  clock.advance(250);
  const before = store.getState().totals;
  clock.advance(1000);
  expect(store.getState().totals[quiet]).toBe(before[quiet]);
});

test('forgets a VM that is removed', () => {
  sample();
  clock.advance(250);
  void engine.remove(id);
  clock.advance(1000);
  expect(store.getState().totals).toEqual({});
  expect(store.getState().histories).toEqual({});
});

test('VMs with inherited property names are listed, and have no rates before they run', () => {
  for (const name of ['constructor', 'valueOf']) engine.add(name, idle);
  const { order, infos, totals } = store.getState();
  expect(order).toEqual(expect.arrayContaining(['constructor', 'valueOf']));
  expect(own(infos, 'toString')).toBeUndefined();
  expect(vmListed(store.getState(), 'valueOf').totals).toBeUndefined();
  expect(topRows(engine.vms(), { totals } as Sample)).toEqual([]);
});
