import { describe, expect, test } from 'vitest';
import { ADMIN, ALL_NAMESPACES, NVM } from '../../../src/devices/storage/nvme/opcodes.ts';
import { CC, CSTS, REG } from '../../../src/devices/storage/nvme/registers.ts';
import { STATUS } from '../../../src/devices/storage/nvme/status.ts';
import { Random } from '../../support/random.ts';
import { completionBase, DATA, ENABLE, LIST, NvmeRig } from './nvme-driver.ts';

const PAGE = 4096;
const SECTOR = 512;

function started(options: Record<string, unknown> = {}, disk: Record<string, unknown> = {}): NvmeRig {
  const rig = new NvmeRig('nvme', options, disk);
  rig.enable();
  rig.createPair(1);
  return rig;
}

/** Dwords of a command for blocks. @param flags of dword 12 */
const blocks = (first: number, count: number, flags = 0) => [
  ...[first % 2 ** 32, Math.floor(first / 2 ** 32), count - 1 + flags],
];
const noise = (length: number, seed: number) => {
  const random = new Random(seed);
  return Uint8Array.from({ length }, () => random.below(256));
};

describe('reads and writes', () => {
  test('transfer data by two entries, and by PRP lists', () => {
    const rig = started();
    const content = noise(160 * PAGE, 1);
    rig.disk.content.write(0, content);
    const read = { opcode: NVM.read, dwords: blocks(3, 9) };
    expect(rig.run(1, { ...read, prp1: DATA + 0xe00, prp2: DATA + 5 * PAGE }).status).toBe(0);
    expect(rig.data(512, DATA + 0xe00)).toEqual(content.subarray(1536, 2048));
    expect(rig.data(PAGE, DATA + 5 * PAGE)).toEqual(content.subarray(2048, 2048 + PAGE));

    // Every second page, in reverse, in two lists of which the first begins near the end of its page.
    const pages = Array.from({ length: 128 }, (_, index) => 0x20_0000 + (127 - index) * 2 * PAGE);
    const start = LIST + PAGE - 16;
    rig.list([pages[1]!, LIST + 2 * PAGE], start);
    rig.list(pages.slice(2), LIST + 2 * PAGE);
    const long = { dwords: blocks(8, 1024), prp1: pages[0]!, prp2: start };
    expect(rig.run(1, { opcode: NVM.read, ...long }).status).toBe(0);
    for (const [index, page] of pages.entries())
      expect(rig.data(PAGE, page)).toEqual(content.subarray((1 + index) * PAGE, (2 + index) * PAGE));
    expect(rig.disk.port!.log.at(-1)).toBe('read 4096 524288');
    for (const page of pages) rig.data(PAGE, page).fill(page / PAGE);
    expect(rig.run(1, { opcode: NVM.write, ...long }).status).toBe(0);
    for (const [index, page] of pages.entries())
      expect(rig.disk.content.read((1 + index) * PAGE, 1)[0]).toBe((page / PAGE) & 0xff);
  });

  test('merge adjacent pages', () => {
    const rig = started();
    let segments = 0;
    const port = rig.disk.port!;
    const transfer = port.transfer.bind(port);
    port.transfer = (access, offset, given, done) => {
      segments = given.length;
      transfer(access, offset, given, done);
    };
    const adjacent = Array.from({ length: 127 }, (_, index) => DATA + (1 + index) * PAGE);
    rig.list(adjacent);
    rig.run(1, { opcode: NVM.read, dwords: blocks(0, 1024), prp1: DATA, prp2: LIST });
    expect(segments).toBe(1);
  });

  test('use pages of 64 KiB, and blocks of 4 KiB', () => {
    const rig = new NvmeRig('nvme', { 'logical-block-size': 4096 });
    rig.enable(ENABLE | (4 << CC.pageShift));
    rig.createPair(1);
    const content = noise(0x1_8000, 2);
    rig.disk.content.write(PAGE, content);
    const read = { opcode: NVM.read, dwords: blocks(1, 24), prp1: 0x20_8000, prp2: 0x30_0000 };
    expect(rig.run(1, read).status).toBe(0);
    expect(rig.data(0x8000, 0x20_8000)).toEqual(content.subarray(0, 0x8000));
    expect(rig.data(0x1_0000, 0x30_0000)).toEqual(content.subarray(0x8000));
    expect(rig.run(1, { ...read, prp2: 0x30_1000 }).status).toBe(STATUS.invalidPrpOffset);
  });

  test.each([
    ['an offset that is not a multiple of 4', { prp1: DATA + 2 }, STATUS.invalidPrpOffset],
    ['a second page that does not begin with one', { prp2: DATA + 512 }, STATUS.invalidPrpOffset],
    ['a list that is not aligned', { count: 24, prp2: LIST + 4 }, STATUS.invalidPrpOffset],
    ['a list with a page from its middle on', { count: 24, list: [DATA, DATA + 8] }, STATUS.invalidPrpOffset],
    ['a list outside memory', { count: 24, prp2: 0x4000_0000 }, STATUS.dataTransferError],
    ['a list far outside memory', { count: 24, prp2: 2 ** 63 }, STATUS.dataTransferError],
    ['a page outside memory', { count: 24, list: [DATA, 0x4000_0000] }, STATUS.dataTransferError],
    ['a page far outside memory', { prp2: 2 ** 62 }, STATUS.dataTransferError],
    ['data outside memory', { prp1: 0x7fff_f000_0000 }, STATUS.dataTransferError],
    ['more than can be moved at once', { count: 1025 }, STATUS.invalidField],
    ['blocks beyond the end', { first: 131_071, count: 2 }, STATUS.lbaOutOfRange],
    ['blocks far beyond the end', { first: 2 ** 63 }, STATUS.lbaOutOfRange],
    ['no namespace', { namespace: 0 }, STATUS.invalidNamespace],
    ['another namespace', { namespace: 2 }, STATUS.invalidNamespace],
    ['all namespaces', { namespace: ALL_NAMESPACES }, STATUS.invalidNamespace],
  ])('are rejected with %s', (_, given, status) => {
    const rig = started();
    const { first = 0, count = 16, list, ...rest } = given as Record<string, number> & { list?: number[] };
    if (list !== undefined) rig.list(list);
    const sent = { dwords: blocks(first, count), prp2: LIST, ...rest };
    for (const opcode of [NVM.read, NVM.write]) {
      expect(rig.run(1, { opcode, ...sent })).toMatchObject({ status, doNotRetry: true });
    }
    expect(rig.disk.port!.log.filter(text => !text.endsWith('8192'))).toHaveLength(
      list?.[1] === 0x4000_0000 ? 2 : 0,
    );
    expect(rig.status).toBe(CSTS.ready);
  });

  test('end at an invalid chain of lists', () => {
    const rig = started();
    // A list whose last entry is the list itself: more pages than the command has.
    rig.list([LIST + PAGE - 8], LIST + PAGE - 8);
    const sent = { opcode: NVM.read, dwords: blocks(0, 1024), prp2: LIST + PAGE - 8 };
    expect(rig.run(1, sent).status).toBe(STATUS.invalidPrpOffset);
  });

  test('fail with the host, and continue', () => {
    const rig = started();
    const port = rig.disk.port!;
    const run = (opcode: number) => rig.run(1, { opcode, dwords: blocks(0, 8) });
    port.failures.push('host');
    expect(run(NVM.read).status).toBe(STATUS.unrecoveredRead);
    port.failures.push('host');
    expect(run(NVM.write).status).toBe(STATUS.writeFault);
    port.failures.push('memory');
    expect(run(NVM.write).status).toBe(STATUS.dataTransferError);
    expect(run(NVM.write).status).toBe(0);
  });

  test('complete in any order, with the identifiers of their commands', () => {
    const rig = started();
    rig.createPair(2);
    const slow = rig.send(1, { opcode: NVM.read, dwords: blocks(0, 8) });
    const refused = rig.send(1, { opcode: NVM.read, dwords: blocks(2 ** 40, 8) });
    expect(rig.receive(1)).toMatchObject([{ id: refused, head: 2, queue: 1 }]);
    const other = rig.send(2, { opcode: NVM.flush });
    rig.settle();
    expect(rig.receive(1)).toMatchObject([{ id: slow, status: 0 }]);
    expect(rig.receive(2)).toMatchObject([{ id: other, queue: 2 }]);
  });

  test('wrap around their queues many times', () => {
    const rig = started();
    rig.createPair(2, 3);
    for (let round = 0; round < 50; round++) {
      const ids = [0, 1].map(() => rig.fill(2, { opcode: NVM.flush }));
      rig.ringTail(2);
      rig.settle();
      expect(rig.receive(2).map(({ id }) => id)).toEqual(ids);
    }
  });
});

describe('a write', () => {
  test('is rejected by a read-only disk', () => {
    const rig = started({}, { readonly: true });
    for (const opcode of [NVM.write, NVM.writeZeroes])
      expect(rig.run(1, { opcode, dwords: blocks(0, 1) }).status).toBe(STATUS.writeProtected);
    rig.data(16).fill(0);
    rig.data(1, DATA + 4)[0] = 8;
    expect(rig.run(1, { opcode: NVM.datasetManagement, dwords: [0, 4] }).status).toBe(STATUS.writeProtected);
    expect(rig.run(1, { opcode: NVM.read, dwords: blocks(0, 1) }).status).toBe(0);
  });

  test('is durable with FUA', () => {
    const rig = started();
    rig.run(1, { opcode: NVM.write, dwords: blocks(8, 8, 0x4000_0000) });
    rig.run(1, { opcode: NVM.writeZeroes, dwords: blocks(8, 8, 0x4000_0000) });
    expect(rig.disk.port!.log).toEqual(['write 4096 4096', 'flush', 'zero 4096 4096', 'flush']);
  });

  test('of zeros needs no data, and can free space', () => {
    const rig = started();
    rig.run(1, { opcode: NVM.writeZeroes, dwords: blocks(0, 65_536) });
    rig.run(1, { opcode: NVM.writeZeroes, dwords: blocks(8, 8, 1 << 25) });
    expect(rig.disk.port!.log).toEqual(['zero 0 33554432', 'zero 4096 4096 unmap']);
    const beyond = rig.run(1, { opcode: NVM.writeZeroes, dwords: blocks(131_072, 1) });
    expect(beyond.status).toBe(STATUS.lbaOutOfRange);
  });
});

describe('Dataset Management', () => {
  const ranges = (rig: NvmeRig, given: readonly (readonly [number, number])[]) => {
    for (const [index, [first, count]] of given.entries()) {
      const at = DATA + 16 * index;
      rig.machine.memory.writeU32(at, 0);
      rig.machine.memory.writeU32(at + 4, count);
      rig.machine.memory.writeU64(at + 8, BigInt(first));
    }
    return { opcode: NVM.datasetManagement, dwords: [given.length - 1, 4] };
  };

  test('discards ranges one by one', () => {
    const rig = started();
    const port = rig.disk.port!;
    const id = rig.send(
      1,
      ranges(rig, [
        [0, 8],
        [16, 0],
        [32, 131_040],
      ]),
    );
    expect(port.log).toEqual(['discard 0 4096']);
    port.step();
    expect([port.log.at(-1), rig.peek(1)]).toEqual(['discard 16384 67092480', null]);
    port.step();
    expect(rig.receive(1)).toMatchObject([{ id, status: 0 }]);
  });

  test('does nothing if a range is invalid, or for hints', () => {
    const rig = started();
    const wrong = ranges(rig, [
      [0, 8],
      [131_072, 1],
    ]);
    expect(rig.run(1, wrong).status).toBe(STATUS.lbaOutOfRange);
    expect(rig.run(1, { ...wrong, prp1: 0x4000_0000 }).status).toBe(STATUS.dataTransferError);
    expect(rig.run(1, { opcode: NVM.datasetManagement, dwords: [0, 0] }).status).toBe(0);
    expect(rig.disk.port!.log).toEqual([]);
    rig.disk.port!.failures.push('host');
    expect(
      rig.run(
        1,
        ranges(rig, [
          [0, 8],
          [8, 8],
        ]),
      ).status,
    ).toBe(STATUS.writeFault);
    expect(rig.disk.port!.log).toEqual(['discard 0 4096']);
  });
});

describe('interrupts', () => {
  const soon = () => Promise.resolve();

  test("are messages of the queues' vectors, one per batch of completions", async () => {
    const rig = new NvmeRig('nvme', { queues: 2 });
    const sent = () => rig.machine.vectors.map(vector => vector.sent.length);
    rig.enableMsix(3);
    rig.enable();
    rig.createPair(1, 16, 2);
    await soon();
    const before = sent();
    for (let count = 0; count < 5; count++) rig.fill(1, { opcode: NVM.flush });
    rig.ringTail(1);
    rig.settle();
    await soon();
    expect(sent()).toEqual([before[0], before[1], before[2]! + 1]);
    rig.send(1, { opcode: NVM.flush });
    rig.settle();
    await soon();
    expect(sent()[2]).toBe(before[2]! + 2);
    expect(rig.machine.lines.some(({ level }) => level)).toBe(false);
  });

  test("are a pin's level without MSI-X, which can be masked", () => {
    const rig = started();
    const level = () => rig.machine.lines.some(({ level }) => level);
    rig.send(1, { opcode: NVM.flush });
    expect(level()).toBe(false);
    rig.settle();
    expect(level()).toBe(true);
    rig.write(REG.intms, 1);
    expect([level(), rig.read(REG.intms), rig.read(REG.intmc)]).toEqual([false, 1, 1]);
    rig.write(REG.intmc, 1);
    expect(level()).toBe(true);
    rig.receive(1);
    expect(level()).toBe(false);
    rig.send(1, { opcode: NVM.flush });
    rig.settle();
    rig.write(REG.cc, 0);
    expect(level()).toBe(false);
  });

  test('do not occur for a queue that disables them', async () => {
    const rig = started();
    const size = (15 << 16) | 2;
    rig.admin(ADMIN.createCompletionQueue, [size, 1], { prp1: completionBase(2) });
    rig.admin(ADMIN.createSubmissionQueue, [size, 0x2_0001], { prp1: completionBase(3) });
    rig.pairs.set(2, { entries: 16, tail: 0, head: 0, phase: 1, completions: 2 });
    rig.machine.memory.writable(completionBase(3), 64).fill(0);
    rig.machine.memory.writeU32(completionBase(3) + 4, 1);
    rig.ringTail(2, 1);
    rig.settle();
    expect(rig.peek(2)).toMatchObject({ status: 0 });
    expect(rig.machine.lines.some(({ level }) => level)).toBe(false);
  });
});

test('completions wait for room in their queue, and commands wait for them', () => {
  const rig = started();
  rig.createPair(2, 2);
  // Its submission queue has more entries than the completion queue.
  const size = (15 << 16) | 3;
  rig.admin(ADMIN.createSubmissionQueue, [size, 0x2_0001], { prp1: completionBase(5) });
  const { memory } = rig.machine;
  memory.writable(completionBase(5), 1024).fill(0);
  for (let id = 0; id < 10; id++) {
    memory.writeU32(completionBase(5) + 64 * id, id << 16);
    memory.writeU32(completionBase(5) + 64 * id + 4, 1);
  }
  rig.ringTail(3, 4);
  rig.settle();
  rig.ringTail(3, 10);
  expect(rig.disk.port!.log).toHaveLength(4);
  const ids: number[] = [];
  for (let round = 0; round < 20; round++) {
    ids.push(...rig.receive(2).map(({ id }) => id));
    rig.settle();
  }
  expect(ids).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('at most 128 commands are in progress, fetched 64 at a time, and admin commands continue meanwhile', () => {
  const rig = started();
  for (const id of [2, 3]) {
    rig.createPair(id, 1024);
    for (let count = 0; count < 1023; count++) rig.fill(id, { opcode: NVM.read, dwords: blocks(count, 1) });
  }
  const port = rig.disk.port!;
  rig.ringTail(2);
  expect(port.pending).toBe(64);
  rig.ringTail(3);
  expect(port.pending).toBe(64);
  rig.machine.clock.advance(1);
  expect(port.pending).toBe(128);
  expect(port.log.slice(64, 68)).toEqual(['read 32768 512', 'read 0 512', 'read 33280 512', 'read 512 512']);
  expect(rig.machine.clock.timers).toBe(0);
  rig.send(0, { opcode: ADMIN.identify, dwords: [1] });
  expect(rig.receive(0)).toMatchObject([{ status: 0 }]);
  for (let count = 0; count < 40; count++) {
    rig.settle();
    for (const id of [2, 3]) rig.receive(id);
  }
  expect(port.log).toHaveLength(2046);
  expect(new Set(port.log).size).toBe(1023);
  expect(SECTOR * 1022).toBe(Number(port.log.at(-1)!.split(' ')[1]));
});
