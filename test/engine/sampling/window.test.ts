import { describe, expect, test } from 'vitest';
import type { ThreadTimes } from '../../../src/engine/sampling/counter-source.ts';
import { percentiles, sumOfHistograms } from '../../../src/engine/sampling/histogram.ts';
import { queueLoads } from '../../../src/engine/sampling/queue-load.ts';
import { vmDetail, vmTotals } from '../../../src/engine/sampling/rates.ts';
import type { Snapshot } from '../../../src/engine/sampling/snapshot.ts';
import { Window } from '../../../src/engine/sampling/window.ts';
import { CounterLayout, HEADER, QUEUE, REGION, STATISTIC, VCPU } from '../../../src/vmm/counters/counters.ts';
import { EXIT } from '../../../src/vmm/kvm/constants.ts';
import type { Topology } from '../../../src/vmm/machine/topology.ts';
import { allocateCounters } from '../../support/counters.ts';

const shape = { vcpus: 1, queues: 2, regions: 1 };
const layout = new CounterLayout(shape);
const source = allocateCounters(shape);
source[layout.queue(0) + QUEUE.id] = 1n;
source[layout.queue(1) + QUEUE.id] = 2n;
source[layout.region(0) + REGION.id] = 3n;
const topology: Topology = {
  shape,
  devices: [
    {
      name: 'blk0',
      type: 'virtio-blk',
      title: 'disk',
      backend: 'disk',
      bus: 'pci.0',
      address: '00:01.0',
      facts: [],
    },
    {
      name: 'rng0',
      type: 'virtio-rng',
      title: 'random',
      backend: null,
      bus: 'pci.0',
      address: '00:02.0',
      facts: [],
    },
  ],
  consoles: [],
  vcpus: 1,
  pinning: [],
  queues: [
    { id: 1, slot: 0, device: 'blk0', type: 'virtio-blk', queue: 'requests', size: 256 },
    { id: 2, slot: 1, device: 'rng0', type: 'virtio-rng', queue: 'requests', size: 64 },
  ],
  regions: [{ id: 3, index: 0, device: 'com1', space: 'port', start: 0x3f8, size: 8 }],
};

/** A snapshot taken `at` (in milliseconds), with these counters by word and the others zero. */
function snapshot(at: number, words: Record<number, number>, times: Partial<ThreadTimes> = {}): Snapshot {
  const copy = source.slice();
  for (const [word, value] of Object.entries(words)) copy[Number(word)] = BigInt(value);
  return {
    at,
    layout,
    words: copy,
    threads: [{ guestNs: 0, userNs: 0, systemNs: 0, hostCpu: 1, id: 4711, ...times }],
    interrupts: null,
  };
}

const exits = layout.vcpu(0) + VCPU.exits;
const exitNs = layout.vcpu(0) + VCPU.exitNs;

test('a device statistic has a rate and a total', () => {
  const base = layout.statistic(1);
  const labeled: Topology = {
    ...topology,
    statistics: [
      { id: 7, index: 1, device: 'tick0', name: 'ticks' },
      // Released in the meantime.
      { id: 8, index: 2, device: 'tick0', name: 'drops' },
    ],
  };
  const words = (value: number) => ({ [base + STATISTIC.id]: 7, [base + STATISTIC.value]: value });
  const window = new Window(snapshot(0, words(100)), snapshot(2000, words(150)), {
    baseline: snapshot(0, {}),
  });
  expect(vmDetail(window, labeled).statistics).toEqual([
    { id: 7, device: 'tick0', name: 'ticks', perSecond: 25, total: 150 },
  ]);
  // A machine of an earlier version has none.
  expect(vmDetail(window, topology).statistics).toEqual([]);
});

describe('a block that was reassigned to another queue', () => {
  const slot = layout.queue(0);
  const old = { [slot + QUEUE.requests]: 5000, [slot + QUEUE.latency + 10]: 5000 };
  const next = {
    [slot + QUEUE.id]: 9,
    [slot + QUEUE.requests]: 7000,
    [slot + QUEUE.latency + 10]: 7000,
  };
  const changed = (words: Record<number, number>) => ({ ...words, [HEADER.changes]: 2 });
  const relabeled: Topology = {
    ...topology,
    queues: [{ ...topology.queues[0]!, id: 9, device: 'blk1' }, topology.queues[1]!],
  };

  test("counts the new queue's requests, from zero", () => {
    const window = new Window(snapshot(0, old), snapshot(1000, changed(next)), {
      baseline: snapshot(0, old),
    });
    const [queue] = vmDetail(window, relabeled).queues;
    expect(queue).toMatchObject({ id: 9, device: 'blk1', requests: 7000, totalRequests: 7000 });
    expect(queue!.latency[10]).toBe(7000);
    expect(vmTotals(window, relabeled).requests).toBe(7000);
  });

  test("shows neither queue while the label is still the old queue's", () => {
    const late = new Window(snapshot(0, old), snapshot(1000, changed(next)));
    expect(vmDetail(late, topology).queues.map(({ device }) => device)).toEqual(['rng0']);
    expect(queueLoads(late, topology).map(({ id }) => id)).toEqual([2]);
    expect(vmTotals(late, topology).requests).toBe(0);
    const early = new Window(snapshot(0, old), snapshot(1000, old));
    expect(vmDetail(early, relabeled).queues.map(({ device }) => device)).toEqual(['rng0']);
    expect(vmDetail(early, topology).queues.map(({ device }) => device)).toEqual(['blk0', 'rng0']);
  });
});

describe('rates', () => {
  test('are the differences divided by the elapsed seconds', () => {
    const window = new Window(
      snapshot(1000, { [exits + EXIT.IO]: 100, [exitNs + EXIT.IO]: 1_000_000 }),
      snapshot(3000, { [exits + EXIT.IO]: 700, [exitNs + EXIT.IO]: 501_000_000 }),
    );
    const [vcpu] = vmDetail(window, topology).vcpus;
    expect(vcpu!.exitsPerSecond).toBe(300);
    expect(vcpu!.exits).toEqual([{ reason: EXIT.IO, total: 700, perSecond: 300, share: 0.25 }]);
  });

  test('treat a counter that decreased as restarted from zero', () => {
    const window = new Window(
      snapshot(0, { [exits + EXIT.MMIO]: 5000 }),
      snapshot(1000, { [exits + EXIT.MMIO]: 40 }),
    );
    expect(window.perSecond(exits + EXIT.MMIO)).toBe(40);
  });

  test('list all exit reasons that occurred, the most frequent first', () => {
    const before = snapshot(0, { [exits + EXIT.IO]: 10, [exits + EXIT.MMIO]: 20 });
    const window = new Window(before, snapshot(1000, { [exits + EXIT.IO]: 30, [exits + EXIT.MMIO]: 20 }));
    const [vcpu] = vmDetail(window, topology).vcpus;
    expect(vcpu!.exits.map(({ reason, perSecond }) => [reason, perSecond])).toEqual([
      [EXIT.IO, 20],
      [EXIT.MMIO, 0],
    ]);
  });

  test('have totals since the baseline', () => {
    const baseline = snapshot(0, { [exits + EXIT.IO]: 1000 });
    const before = snapshot(1000, { [exits + EXIT.IO]: 1500 });
    const after = snapshot(2000, { [exits + EXIT.IO]: 1600 });
    const [vcpu] = vmDetail(new Window(before, after, { baseline }), topology).vcpus;
    expect(vcpu!.exits[0]).toMatchObject({ total: 600, perSecond: 100 });
  });

  test('of a VM sum its queues, and the bytes of its disks only', () => {
    const [blk, rng] = [layout.queue(0), layout.queue(1)];
    const words = {
      [blk + QUEUE.requests]: 10,
      [blk + QUEUE.kicks]: 8,
      [blk + QUEUE.interrupts]: 6,
      [blk + QUEUE.bytesToGuest]: 4096,
      [blk + QUEUE.bytesFromGuest]: 512,
      [rng + QUEUE.requests]: 2,
      [rng + QUEUE.bytesToGuest]: 64,
    };
    expect(vmTotals(new Window(snapshot(0, {}), snapshot(1000, words)), topology)).toMatchObject({
      requests: 12,
      kicks: 8,
      interrupts: 6,
      diskReadBytes: 4096,
      diskWriteBytes: 512,
    });
  });

  test('of a VM count the commands of a SCSI disk once', () => {
    const queue = { id: 9, slot: 0, device: 'sd0', type: 'scsi-hd', queue: 'commands', size: 0 };
    const id = Number(topology.queues[0]!.id);
    const disk = { ...topology.devices[0]!, name: 'sd0', backend: 'disk' } as const;
    const scsi = { ...topology, devices: [disk], queues: [{ ...queue, id }] };
    const words = { [layout.queue(0) + QUEUE.requests]: 10, [layout.queue(0) + QUEUE.bytesToGuest]: 4096 };
    const totals = vmTotals(new Window(snapshot(0, {}), snapshot(1000, words)), scsi);
    expect(totals).toMatchObject({ requests: 0, diskReadBytes: 4096 });
  });

  test('of regions and queues have their names', () => {
    const words = {
      [layout.region(0) + REGION.reads]: 3,
      [layout.region(0) + REGION.writes]: 4,
      [layout.region(0) + REGION.ns]: 10_000_000,
      [layout.queue(0) + QUEUE.inFlight]: 7,
      [layout.queue(0) + QUEUE.maxInFlight]: 9,
      [layout.queue(0) + QUEUE.latencyNs]: 2_500_000_000,
      [layout.queue(0) + QUEUE.kicksSuppressed]: 2,
      [layout.queue(0) + QUEUE.requests]: 12,
      [layout.queue(0) + QUEUE.batches]: 4,
    };
    const { regions, queues } = vmDetail(new Window(snapshot(0, {}), snapshot(1000, words)), topology);
    expect(regions[0]).toMatchObject({
      device: 'com1',
      start: 0x3f8,
      reads: 3,
      writes: 4,
      share: 0.01,
      total: 7,
    });
    expect(queues[0]).toMatchObject({ device: 'blk0', inFlight: 7, batch: 3, totalRequests: 12 });
    expect(queues[0]).toMatchObject({ kicksSuppressed: 2, maxInFlight: 9, depth: 2.5 });
    expect(queues[1]).toMatchObject({ device: 'rng0', batch: null });
  });
});

describe('time', () => {
  const deviceNs = layout.vcpu(0) + VCPU.deviceNs;

  test('is split into guest, KVM and devices', () => {
    const window = new Window(
      snapshot(0, {}),
      snapshot(1000, { [deviceNs]: 200_000_000 }, { guestNs: 500_000_000, systemNs: 100_000_000 }),
    );
    expect(vmDetail(window, topology).vcpus[0]!.time).toEqual({ guest: 0.5, kvm: 0.1, devices: 0.2 });
    expect(vmTotals(window, topology).cpu).toBeCloseTo(0.6);
  });

  test('never sums to more than the elapsed time, however coarse the ticks', () => {
    const times = { guestNs: 60_000_000, systemNs: 60_000_000 };
    const { time } = vmDetail(
      new Window(snapshot(0, {}), snapshot(100, { [deviceNs]: 30_000_000 }, times)),
      topology,
    ).vcpus[0]!;
    expect(time.devices).toBeCloseTo(0.3);
    expect(time.guest).toBeCloseTo(0.6);
    expect(time.guest + time.kvm + time.devices).toBeCloseTo(1);
  });

  test('on a CPU is compared over the longer window', () => {
    const cpuBefore = snapshot(0, {}, { guestNs: 0 });
    const before = snapshot(900, {}, { guestNs: 500_000_000 });
    const after = snapshot(1000, {}, { guestNs: 500_000_000 });
    expect(vmTotals(new Window(before, after, { cpuBefore }), topology).cpu).toBe(0.5);
    expect(vmTotals(new Window(before, after), topology).cpu).toBe(0);
  });
});

describe('percentiles', () => {
  test('lie in the bucket that contains their rank', () => {
    const counts = Array<number>(32).fill(0);
    counts[10] = 98;
    counts[20] = 2;
    const { p50Ns, p99Ns } = percentiles(counts)!;
    expect(p50Ns).toBeGreaterThanOrEqual(1024);
    expect(p50Ns).toBeLessThan(2048);
    expect(p99Ns).toBeGreaterThanOrEqual(2 ** 20);
    expect(p99Ns).toBeLessThan(2 ** 21);
  });

  test('of an empty histogram are null', () => {
    expect(percentiles(Array<number>(32).fill(0))).toBeNull();
  });

  test('of several histograms are those of the sum', () => {
    const fast = Array<number>(32).fill(0).with(4, 10);
    const slow = Array<number>(32).fill(0).with(24, 10);
    expect(percentiles(sumOfHistograms([fast, slow]))!.p99Ns).toBeGreaterThan(2 ** 24);
  });
});
