import { expect, test } from 'vitest';
import type { HostInterruptCounts } from '../../../src/engine/sampling/counter-source.ts';
import { hostInterrupts } from '../../../src/engine/sampling/host-interrupts.ts';
import type { Snapshot } from '../../../src/engine/sampling/snapshot.ts';
import { Window } from '../../../src/engine/sampling/window.ts';
import { CounterLayout } from '../../../src/vmm/counters/counters.ts';

const layout = new CounterLayout({ vcpus: 1, queues: 1, regions: 1 });
const words = new BigUint64Array(layout.words);
const vector = (number: number, count: number) =>
  ({ device: 'hostdev0', address: '0000:01:10.0', kind: 'msix', vector: number, count }) as const;

function snapshot(at: number, interrupts: HostInterruptCounts | null): Snapshot {
  return { at, layout, words, threads: [], interrupts };
}

const counts = (...vectors: HostInterruptCounts['vectors']) => ({ posted: false, vectors });

test('vectors have rates, and totals since the baseline', () => {
  const before = snapshot(1000, counts(vector(0, 10), vector(1, 500)));
  const after = snapshot(3000, counts(vector(0, 10), vector(1, 700), vector(2, 40)));
  const baseline = snapshot(0, counts(vector(0, 4), vector(1, 100)));
  const rates = (window: Window) =>
    hostInterrupts(window)!.vectors.map(({ vector, total, perSecond }) => [vector, total, perSecond]);
  expect(rates(new Window(before, after))).toEqual([
    [0, 10, 0],
    [1, 700, 100],
    [2, 40, 20],
  ]);
  expect(rates(new Window(before, after, { baseline })).map(([, total]) => total)).toEqual([6, 600, 40]);
  // Set up again by the guest's driver.
  expect(rates(new Window(after, snapshot(4000, counts(vector(1, 30)))))).toEqual([[1, 30, 30]]);
});

test('a VM without host devices has no vectors, and there are no rates after the first sample', () => {
  expect(hostInterrupts(new Window(snapshot(0, null), snapshot(1000, null)))).toBeNull();
  const first = new Window(snapshot(0, null), snapshot(1000, { posted: true, vectors: [vector(0, 10)] }));
  expect(hostInterrupts(first)).toMatchObject({ posted: true, vectors: [{ total: 10, perSecond: 0 }] });
});
