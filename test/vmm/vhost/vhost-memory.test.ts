import { beforeEach, describe, expect, test } from 'vitest';
import type { HostBlock } from '../../../src/devices/host-block.ts';
import { AddressSpace } from '../../../src/vmm/memory/address-space.ts';
import { DirtyLog } from '../../../src/vmm/memory/dirty-log.ts';
import { type VhostLog, VhostMemory } from '../../../src/vmm/vhost/vhost-memory.ts';
import { UNCOUNTED } from '../../support/counters.ts';
import { fakeBlock } from '../../support/fake-block.ts';
import { FakeVhost } from '../../support/fake-vhost.ts';

const PAGE = 4096;
const HIGH = 256 * PAGE;

/** What the kernel writes to. */
class FakeLog implements VhostLog {
  readonly address = 0x7000n;
  readonly pages: number;
  #bits: Uint32Array;

  constructor(pages: number) {
    this.pages = pages;
    this.#bits = new Uint32Array(Math.ceil(pages / 32));
  }

  wrote(page: number): void {
    this.#bits[page >> 5]! |= 1 << (page & 31);
  }

  take(): Uint32Array | null {
    const bits = this.#bits;
    this.#bits = new Uint32Array(bits.length);
    return bits.some(word => word !== 0) ? bits : null;
  }
}

let low: HostBlock;
let high: HostBlock;
let space: AddressSpace;
let memory: VhostMemory;
let logs: FakeLog[];
let changes: number;
beforeEach(() => {
  low = { ...fakeBlock('ram-low', 64 * PAGE), host: 0x10_0000n };
  high = { ...fakeBlock('ram-high', 8 * PAGE), host: 0x90_0000n };
  logs = [];
  memory = new VhostMemory(pages => {
    logs.push(new FakeLog(pages));
    return logs.at(-1)!;
  });
  space = new AddressSpace({ counters: () => UNCOUNTED });
  space.listen(memory);
  space.add({ kind: 'ram', name: 'low', start: 0, size: 16 * PAGE, block: low });
  space.add({ kind: 'ram', name: 'low', start: 16 * PAGE, size: 16 * PAGE, block: low, offset: 16 * PAGE });
  changes = 0;
  memory.attach({ memoryChanged: () => void changes++ });
});

/** The table as the kernel reads it. */
function regions() {
  const kernel = new FakeVhost();
  kernel.call('VHOST_SET_OWNER');
  kernel.call('VHOST_SET_MEM_TABLE', memory.table);
  return kernel.regions;
}

describe('the memory table', () => {
  test('has RAM at its guest and process addresses, and contiguous ranges as one region', () => {
    space.add({ kind: 'ram', name: 'high', start: HIGH, size: high.size, block: high });
    expect(regions()).toEqual([
      { guest: 0, size: 32 * PAGE, host: low.host },
      { guest: HIGH, size: 8 * PAGE, host: high.host },
    ]);
  });

  test('follows the address space, and omits what the kernel must not write', () => {
    const range = space.add({ kind: 'ram', name: 'high', start: HIGH, size: high.size, block: high });
    space.add({ kind: 'rom', name: 'rom', start: 512 * PAGE, size: PAGE, block: fakeBlock('rom', PAGE) });
    expect(changes).toBe(1);
    range.remove();
    expect(changes).toBe(2);
    expect(regions()).toEqual([{ guest: 0, size: 32 * PAGE, host: low.host }]);
  });

  test('translates addresses of contiguous memory', () => {
    space.add({ kind: 'ram', name: 'high', start: 32 * PAGE, size: high.size, block: high });
    expect(memory.hostAddress(17 * PAGE + 5, 100)).toBe(low.host + BigInt(17 * PAGE + 5));
    expect(memory.hostAddress(32 * PAGE, 8 * PAGE)).toBe(high.host);
    expect(memory.hostAddress(32 * PAGE - 8, 16)).toBeNull();
    expect(memory.hostAddress(40 * PAGE - 8, 16)).toBeNull();
  });
});

describe('the dirty log', () => {
  const pagesOf = (log: DirtyLog, block: HostBlock) => [...log.collect('migration').get(block)!.runs()];

  test("returns the kernel's writes by block, each once", () => {
    space.add({ kind: 'ram', name: 'high', start: HIGH, size: high.size, block: high });
    const log = new DirtyLog([memory], [space.memory]);
    expect(memory.logAddress).toBeNull();
    log.start('migration', [low, high]);
    expect([memory.logAddress, logs[0]!.pages]).toEqual([0x7000n, 256 + 8]);
    for (const page of [0, 20, 256 + 7, 100]) logs[0]!.wrote(page);
    const found = log.collect('migration');
    expect([...found.get(low)!.runs()]).toEqual([
      { first: 0, end: 1 },
      { first: 20, end: 21 },
    ]);
    expect([...found.get(high)!.runs()]).toEqual([{ first: 7, end: 8 }]);
    expect(pagesOf(log, low)).toEqual([]);
    log.stop('migration');
    expect([memory.logAddress, changes]).toEqual([null, 3]);
  });

  test('keeps what was written before memory moved, and grows with it', () => {
    const log = new DirtyLog([memory], [space.memory]);
    log.start('migration', [low, high]);
    logs[0]!.wrote(3);
    let isFirst = true;
    memory.attach({
      memoryChanged: () => {
        // It is notified of the new one only now.
        if (isFirst) logs[0]!.wrote(4);
        isFirst = false;
      },
    });
    space.add({ kind: 'ram', name: 'high', start: HIGH, size: high.size, block: high });
    expect(logs.map(({ pages }) => pages)).toEqual([32, 256 + 8]);
    logs[1]!.wrote(5);
    expect(pagesOf(log, low)).toEqual([{ first: 3, end: 6 }]);
  });

  test('ignores writes from before it was enabled', () => {
    const log = new DirtyLog([memory], [space.memory]);
    log.start('migration', [low]);
    logs[0]!.wrote(3);
    log.stop('migration');
    log.start('migration', [low]);
    expect(pagesOf(log, low)).toEqual([]);
  });
});
