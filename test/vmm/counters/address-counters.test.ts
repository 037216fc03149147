import { describe, expect, test } from 'vitest';
import { PortBus, type RegionCounters, type RegionLabel } from '../../../src/devices/bus.ts';
import {
  ADDRESS,
  ADDRESS_ENTRIES,
  addressKey,
  CounterLayout,
  FORGOTTEN,
  MAX_KEYED_REGIONS,
  parseAddressKey,
  REGION,
} from '../../../src/vmm/counters/counters.ts';
import { AddressSpace } from '../../../src/vmm/memory/address-space.ts';
import { allocateCounters, TimedBlocks } from '../../support/counters.ts';

const SHAPE = { vcpus: 1, queues: 1, regions: 128 };

/** A VM's counters with a device at some address, and a reader. */
class Machine {
  readonly words = allocateCounters(SHAPE);
  readonly layout = new CounterLayout(SHAPE);
  /** What each access takes. */
  ns = 5;
  blocks = new TimedBlocks(this.words, SHAPE);

  bus(space: 'port' | 'memory'): PortBus | AddressSpace {
    const options = { counters: (label: RegionLabel) => this.timed(this.blocks.region(label)) };
    return space === 'port' ? new PortBus(options) : new AddressSpace(options);
  }

  /** Each access is an exit of its own. */
  timed(counters: RegionCounters): RegionCounters {
    return {
      read: address => {
        counters.read(address);
        this.blocks.answered(this.ns);
      },
      written: address => {
        counters.written(address);
        this.blocks.answered(this.ns);
      },
      release: counters.release,
    };
  }

  /** Every entry as text, `device address reads writes ns`, ascending. */
  get entries(): string[] {
    const { regions } = this.blocks.labels;
    const lines: string[] = [];
    for (let entry = 0; entry < ADDRESS_ENTRIES; entry++) {
      const at = this.layout.address(entry);
      const key = parseAddressKey(this.words[at + ADDRESS.key]!);
      if (key === null) continue;
      const { device, space } = regions.find(({ index }) => index === key.region)!;
      lines.push(`${device} ${space} 0x${key.address.toString(16)} ${this.#counts(at)}`);
    }
    return lines.sort();
  }

  get others(): string {
    return this.#counts(this.layout.otherAddresses);
  }

  #counts(at: number): string {
    return [ADDRESS.reads, ADDRESS.writes, ADDRESS.ns].map(word => this.words[at + word]).join(' ');
  }
}

const silent = { read: () => 0, write: () => {} };

describe('the address table', () => {
  test('counts each address separately, with its space, its owner and its time', () => {
    const machine = new Machine();
    const [ports, memory] = [machine.bus('port'), machine.bus('memory')];
    ports.claim('com1', 0x3f8, 8, silent);
    memory.claim('blk0', 0xf_ffff_ffff_f000, 0x1000, silent);
    ports.write(0x3f8, 1, 0);
    ports.write(0x3f8, 1, 0);
    ports.read(0x3fd, 1);
    memory.read(0xf_ffff_ffff_fffc, 4);
    memory.write(0x3f8, 4, 0);
    expect(machine.entries).toEqual([
      'blk0 memory 0xffffffffffffc 1 0 5',
      'com1 port 0x3f8 0 2 10',
      'com1 port 0x3fd 1 0 5',
      'unclaimed memory 0x3f8 0 1 5',
    ]);
    expect(machine.others).toBe('0 0 0');
  });

  test('distinguishes a moved device from the previous one', () => {
    const machine = new Machine();
    const memory = machine.bus('memory');
    const bar = memory.claim('blk0', 0x1000, 0x1000, silent);
    memory.read(0x1000, 4);
    bar.map(0x2000);
    memory.read(0x1000, 4);
    memory.read(0x2000, 4);
    expect(machine.entries).toEqual([
      'blk0 memory 0x1000 1 0 5',
      'blk0 memory 0x2000 1 0 5',
      'unclaimed memory 0x1000 1 0 5',
    ]);
  });

  test('continues after a reset of the machine', () => {
    const machine = new Machine();
    machine.bus('port').read(0x80, 1);
    machine.blocks = new TimedBlocks(machine.words, SHAPE);
    machine.bus('port').read(0x80, 1);
    expect(machine.entries).toEqual(['unclaimed port 0x80 2 0 10']);
  });

  test('counts times beyond 32 bits', () => {
    const machine = new Machine();
    const bus = machine.bus('port');
    machine.ns = 2 ** 33 + 5;
    bus.claim('slow', 0, 1, silent);
    bus.read(0, 1);
    bus.read(0, 1);
    expect(machine.entries).toEqual([`slow port 0x0 2 0 ${2 ** 34 + 10}`]);
  });

  test.each([
    ['one after the other', (i: number) => 4 * i],
    ['that all have the same low half', (i: number) => i * 2 ** 32],
    ['at random', (i: number) => (Math.imul(i, 0x9e37_79b1) >>> 0) * 2 ** 20],
  ])('that is full sums the rest: addresses %s', (_, addressOf) => {
    const machine = new Machine();
    const memory = machine.bus('memory');
    memory.claim('known', 0xfee0_0000, 4, silent);
    memory.read(0xfee0_0000, 4);
    const addresses = 4 * ADDRESS_ENTRIES;
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < addresses; i++) memory.write(addressOf(i), 2, 0);
    }
    memory.read(0xfee0_0000, 4);
    const entries = machine.entries.filter(line => line.startsWith('unclaimed'));
    expect(machine.entries).toContain('known memory 0xfee00000 2 0 10');
    expect(entries.every(line => line.endsWith(' 0 2 10'))).toBe(true);
    expect(machine.others).toBe(`0 ${2 * (addresses - entries.length)} ${10 * (addresses - entries.length)}`);
    expect(machine.words.length).toBe(machine.layout.words);
  });

  test('drops the entries of a released region, finds the others, and reuses the space', () => {
    const machine = new Machine();
    const region = (device: string) =>
      machine.timed(machine.blocks.region({ device, space: 'memory', start: 0, size: 4 }));
    const [gone, stays] = [region('gone'), region('stays')];
    // The same low halves: neighbors in the table, some beyond those of the region that goes.
    const addresses = Array.from({ length: 600 }, (_, i) => 4 * i);
    for (const address of addresses) {
      gone.read(address);
      stays.written(address);
    }
    expect(machine.entries.length).toBeGreaterThan(1000);
    gone.release();
    const left = machine.entries;
    expect(left.every(line => line.startsWith('stays'))).toBe(true);
    for (const address of addresses) stays.written(address);
    const kept = (line: string) => machine.entries.includes(line.replace(' 0 1 5', ' 0 2 10'));
    expect(left.every(kept)).toBe(true);

    const next = region('next');
    for (const address of addresses) next.read(address);
    const found = machine.entries.filter(line => line.startsWith('next'));
    expect(found.length).toBeGreaterThan(350);
    expect(found.every(line => line.endsWith(' 1 0 5'))).toBe(true);
  });

  test('attributes an exit with several accesses to the last one, and none to a released region', () => {
    const machine = new Machine();
    const region = (device: string) => machine.blocks.region({ device, space: 'port', start: 0, size: 4 });
    const [a, b] = [region('a'), region('b')];
    a.read(0);
    b.written(2);
    machine.blocks.answered(7);
    machine.blocks.answered(9);
    expect(machine.entries).toEqual(['a port 0x0 1 0 0', 'b port 0x2 0 1 7']);
    expect(machine.words[machine.layout.region(1) + REGION.ns]).toBe(7n);
    b.read(2);
    b.release();
    machine.blocks.answered(11);
    expect(machine.words.includes(11n)).toBe(false);
  });

  test('has room for most of its nominal capacity', () => {
    const machine = new Machine();
    const memory = machine.bus('memory');
    for (let i = 0; i < ADDRESS_ENTRIES * 0.75; i++) memory.read(0xc000_0000 + 4 * i, 4);
    expect(machine.others).toBe('0 0 0');
  });
});

test('a key contains region and address, and is never 0', () => {
  const pairs = [
    [0, 0],
    [1, 0xffff],
    [MAX_KEYED_REGIONS - 1, 2 ** 52 - 1],
  ] as const;
  for (const [region, address] of pairs) {
    expect(parseAddressKey(addressKey(region, address))).toEqual({ region, address });
  }
  expect(parseAddressKey(0n)).toBeNull();
  expect(parseAddressKey(FORGOTTEN)).toBeNull();
});
