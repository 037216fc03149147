import { describe, expect, test } from 'vitest';
import { UNCLAIMED } from '../../../src/devices/bus.ts';
import { addressHeat } from '../../../src/engine/sampling/address-rates.ts';
import type { Snapshot } from '../../../src/engine/sampling/snapshot.ts';
import { Window } from '../../../src/engine/sampling/window.ts';
import { CounterLayout } from '../../../src/vmm/counters/counters.ts';
import type { Topology } from '../../../src/vmm/machine/topology.ts';
import { allocateCounters, TimedBlocks, timedRegion } from '../../support/counters.ts';

const SHAPE = { vcpus: 1, queues: 1, regions: 4 };
const LAYOUT = new CounterLayout(SHAPE);

/** A VM's counters, and their values a second later. */
class Machine {
  readonly words = allocateCounters(SHAPE);
  readonly #blocks = new TimedBlocks(this.words, SHAPE);
  readonly unclaimed = timedRegion(this.#blocks, { device: UNCLAIMED, space: 'port', start: 0, size: 65536 });
  readonly com1 = timedRegion(this.#blocks, { device: 'com1', space: 'port', start: 0x3f8, size: 8 });
  readonly blk0 = timedRegion(this.#blocks, {
    device: 'blk0',
    space: 'memory',
    start: 0x1_0000_0000,
    size: 4096,
  });

  get topology(): Topology {
    return { ...this.#blocks.labels, devices: [], consoles: [], vcpus: 1, pinning: [] };
  }

  snapshot(at: number): Snapshot {
    return { at, layout: LAYOUT, words: this.words.slice(), threads: [], interrupts: null };
  }

  heat(act: () => void, topology: Topology | null = this.topology) {
    const before = this.snapshot(0);
    act();
    return addressHeat(new Window(before, this.snapshot(1000), { baseline: before }), topology);
  }
}

describe('the addresses of a VM', () => {
  test('have their cost and their device, the most expensive first', () => {
    const machine = new Machine();
    machine.com1.read(0x3fd, 999);
    const { addresses, otherAddresses } = machine.heat(() => {
      for (let i = 0; i < 5; i++) machine.unclaimed.written(0x80, 0);
      machine.blk0.written(0x1_0000_0020, 3000);
      machine.blk0.read(0x1_0000_0020, 1000);
      machine.com1.written(0x3f8, 500);
    });
    const blk = { space: 'memory', address: 0x1_0000_0020, device: 'blk0', region: 2 };
    const com = { space: 'port', address: 0x3f8, device: 'com1', region: 1 };
    const post = { space: 'port', address: 0x80, device: null, region: 0 };
    expect(addresses).toEqual([
      { ...blk, reads: 1, writes: 1, share: 4e-6, meanNs: 2000, total: 2 },
      { ...com, reads: 0, writes: 1, share: 5e-7, meanNs: 500, total: 1 },
      { ...post, reads: 0, writes: 5, share: 0, meanNs: 0, total: 5 },
    ]);
    expect(otherAddresses).toEqual({ reads: 0, writes: 0, share: 0, meanNs: null, total: 0 });
  });

  test('stay listed when they are no longer used, until the baseline is reset', () => {
    const machine = new Machine();
    machine.com1.read(0x3fd, 999);
    const idle = new Window(machine.snapshot(0), machine.snapshot(1000));
    expect(addressHeat(idle, machine.topology).addresses).toMatchObject([
      { address: 0x3fd, reads: 0, meanNs: null, total: 1 },
    ]);
    expect(machine.heat(() => {}).addresses).toEqual([]);
  });

  test('are listed one by one up to a screenful, and the rest as a sum', () => {
    const machine = new Machine();
    const { addresses, otherAddresses } = machine.heat(() => {
      for (let i = 0; i < 2000; i++) machine.unclaimed.read(i, 0);
      for (let i = 0; i < 100; i++) machine.blk0.read(0x1_0000_0000 + 4 * i, 100);
    });
    expect(addresses).toHaveLength(50);
    const listed = addresses.reduce((sum, { total }) => sum + total, 0);
    expect(listed + otherAddresses.total).toBe(2100);
    const shares = addresses.reduce((sum, { share }) => sum + share, otherAddresses.share);
    expect(shares).toBeCloseTo(1e-5);
    expect(otherAddresses.meanNs).toBeCloseTo((otherAddresses.share * 1e9) / otherAddresses.reads);
  });

  test('are empty before the machine has sent its topology', () => {
    const machine = new Machine();
    expect(machine.heat(() => machine.com1.read(0x3fd, 1), null).addresses).toEqual([]);
  });
});
