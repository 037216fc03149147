import { describe, expect, test } from 'vitest';
import { FEATURE } from '../../../src/devices/storage/nvme/features.ts';
import { CNS } from '../../../src/devices/storage/nvme/identify.ts';
import { LOG } from '../../../src/devices/storage/nvme/logs.ts';
import { ADMIN, ALL_NAMESPACES, NVM } from '../../../src/devices/storage/nvme/opcodes.ts';
import { CC, CSTS, REG, SPACE } from '../../../src/devices/storage/nvme/registers.ts';
import { STATUS } from '../../../src/devices/storage/nvme/status.ts';
import { completionBase, DATA, ENABLE, NvmeRig, submissionBase } from './nvme-driver.ts';

const ascii = (view: DataView, at: number, length: number) =>
  Buffer.from(view.buffer, at, length).toString('latin1').trimEnd();

describe('the registers of an NVMe controller', () => {
  test('report its version and capabilities', () => {
    const rig = new NvmeRig();
    const fn = rig.built.pci!;
    expect([fn.readConfig(0, 4), fn.readConfig(8, 4)]).toEqual([0x0010_1b36, 0x0108_0202]);
    expect([rig.read(REG.cap), rig.read(REG.capHigh)]).toEqual([0x2801_03ff, 0x0040_0020]);
    expect(rig.read(REG.vs)).toBe(0x0001_0400);
    expect([rig.read(REG.cc), rig.status]).toEqual([0, 0]);
    expect([rig.read(REG.vs + 2, 1), rig.read(REG.cap, 2)]).toEqual([1, 0x03ff]);
    expect(rig.read(SPACE.doorbells)).toBe(0);
  });

  test('enable it with admin queues, whose addresses are locked while it is enabled', () => {
    const rig = new NvmeRig();
    rig.enable();
    expect(rig.status).toBe(CSTS.ready);
    rig.write(REG.aqa, 0);
    rig.write(REG.asq, 0x5000);
    rig.write(REG.cc, ENABLE | (2 << CC.pageShift));
    expect(rig.read(REG.aqa)).toBe(0x001f_001f);
    expect(rig.read(REG.asq)).toBe(submissionBase(0));
    expect(rig.read(REG.cc)).toBe(ENABLE);
    rig.write(REG.cc, 0);
    expect(rig.status).toBe(0);
    rig.write(REG.asq, 0x5fff);
    expect(rig.read(REG.asq)).toBe(0x5000);
  });

  test.each([
    ['a command set that it lacks', ENABLE | (1 << 4), 32, 0],
    ['pages that are too large', ENABLE | (5 << CC.pageShift), 32, 0],
    ['another arbitration', ENABLE | (1 << 11), 32, 0],
    ['queues of one entry', ENABLE, 1, 0],
    ['a queue that does not begin with a page', ENABLE | (1 << CC.pageShift), 32, 0x1000],
    ['a queue beyond all memory', ENABLE, 32, 2 ** 33],
  ])('report a fatal status for %s', (_, cc, entries, more) => {
    const rig = new NvmeRig();
    rig.write(REG.acqHigh, 0xffff_ffff * Number(more > 2 ** 32));
    rig.write(REG.aqa, ((entries - 1) << 16) | (entries - 1));
    rig.write(REG.asq, submissionBase(0) + (more % 2 ** 32));
    rig.write(REG.acq, completionBase(0));
    rig.write(REG.cc, cc);
    expect(rig.status).toBe(CSTS.fatal);
    rig.write(REG.cc, 0);
    expect(rig.status).toBe(0);
    rig.write(REG.acqHigh, 0);
    rig.enable();
    expect(rig.status).toBe(CSTS.ready);
  });

  test('report a fatal status for a queue outside memory', () => {
    const rig = new NvmeRig();
    rig.enable();
    rig.write(REG.cc, 0);
    rig.write(REG.asq, 0x4000_0000);
    rig.write(REG.cc, ENABLE);
    rig.ringTail(0, 1);
    expect(rig.status).toBe(CSTS.ready | CSTS.fatal);
    rig.write(REG.cc, 0);
    rig.enable();
    rig.createPair(1);
    expect(rig.run(0, { opcode: ADMIN.deleteSubmissionQueue, dwords: [1] }).status).toBe(0);
    expect(rig.run(0, { opcode: ADMIN.deleteCompletionQueue, dwords: [1] }).status).toBe(0);
    const size = (15 << 16) | 1;
    rig.run(0, { opcode: ADMIN.createCompletionQueue, prp1: 0x4000_0000, dwords: [size, 1] });
    rig.run(0, { opcode: ADMIN.createSubmissionQueue, prp1: submissionBase(1), dwords: [size, 0x1_0001] });
    rig.send(1, { opcode: NVM.flush });
    rig.settle();
    expect(rig.status).toBe(CSTS.ready | CSTS.fatal);
  });
});

describe('Identify', () => {
  test('describes the controller', () => {
    const rig = new NvmeRig('nvme', { serial: 'deadbeef' });
    rig.enable();
    const view = rig.identify(CNS.controller);
    expect([view.getUint16(0, true), view.getUint16(2, true)]).toEqual([0x1b36, 0x1af4]);
    expect([ascii(view, 4, 20), ascii(view, 24, 40), ascii(view, 64, 8)]).toEqual([
      ...['deadbeef', 'VRING NVMe Ctrl', '1.0'],
    ]);
    expect([view.getUint8(77), view.getUint32(80, true), view.getUint8(111)]).toEqual([7, 0x0001_0400, 1]);
    expect([view.getUint8(512), view.getUint8(513), view.getUint32(516, true)]).toEqual([0x66, 0x44, 1]);
    expect([view.getUint16(520, true), view.getUint8(525)]).toEqual([0x1c, 7]);
    const subsystem = Buffer.from(view.buffer, 768, 256).toString().replaceAll('\0', '');
    expect(subsystem).toMatch(
      /^nqn\.2014-08\.org\.nvmexpress:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
    );
  });

  test('describes its namespace', () => {
    const uuid = '11223344-5566-7788-99aa-bbccddeeff00';
    const options = { uuid, eui64: '0x525400', 'logical-block-size': 4096, 'physical-block-size': 4096 };
    const rig = new NvmeRig('nvme', options);
    rig.enable();
    const view = rig.identify(CNS.namespace, 1);
    const blocks = BigInt(rig.disk.size / 4096);
    expect([0, 8, 16].map(at => view.getBigUint64(at, true))).toEqual([blocks, blocks, blocks]);
    expect([view.getUint8(130), view.getUint8(99), view.getUint16(64, true)]).toEqual([12, 0, 0]);
    expect(view.getBigUint64(120)).toBe(0x525400n);
    expect(rig.identify(CNS.activeNamespaces, 0).getUint32(0, true)).toBe(1);
    expect(rig.identify(CNS.activeNamespaces, 1).getUint32(0, true)).toBe(0);
    const list = Buffer.from(rig.identify(CNS.descriptors, 1).buffer);
    expect(list.toString('hex', 0, 36)).toBe(
      `01080000${'0000000000525400'}03100000${uuid.replaceAll('-', '')}00000000`,
    );
  });

  test('reports the block size of the medium, and a read-only disk', () => {
    const rig = new NvmeRig('nvme', {}, { readonly: true, blockSize: 4096 });
    rig.enable();
    const view = rig.identify(CNS.namespace, 1);
    expect([view.getUint8(130), view.getUint8(99), view.getUint16(64, true)]).toEqual([9, 1, 7]);
  });

  test('derives identifiers of namespaces without one from their names', () => {
    const uuidOf = (rig: NvmeRig, id: number) => {
      const bytes = Buffer.from(rig.identify(CNS.descriptors, id).buffer);
      return bytes.toString('hex', 4, 20);
    };
    const [one, two] = [new NvmeRig('nvme-controller'), new NvmeRig('nvme-controller')];
    for (const rig of [one, two]) {
      rig.attach(1);
      rig.attach(7);
      rig.enable();
    }
    expect(uuidOf(one, 1)).toMatch(/^.{12}8/);
    expect(uuidOf(one, 1)).toBe(uuidOf(two, 1));
    expect(uuidOf(one, 7)).not.toBe(uuidOf(one, 1));
    expect(one.identify(CNS.controller).getUint32(516, true)).toBe(64);
    // No such namespace, but there could be.
    expect(one.identify(CNS.namespace, 2).getBigUint64(0, true)).toBe(0n);
  });

  test.each([
    ['what it does not know', [0x10], 0, STATUS.invalidField],
    ['a namespace of number 0', [CNS.namespace], 0, STATUS.invalidNamespace],
    ['a namespace that cannot be', [CNS.namespace], 2, STATUS.invalidNamespace],
    ['all namespaces', [CNS.namespace], ALL_NAMESPACES, STATUS.invalidNamespace],
    ['descriptors of one that cannot be', [CNS.descriptors], 2, STATUS.invalidNamespace],
    ['namespaces after the last number', [CNS.activeNamespaces], ALL_NAMESPACES, STATUS.invalidNamespace],
  ])('rejects %s', (_, dwords, namespace, status) => {
    const rig = new NvmeRig();
    rig.enable();
    expect(rig.admin(ADMIN.identify, dwords, { namespace })).toMatchObject({ status, doNotRetry: true });
  });

  test('writes to two pages, and only to memory', () => {
    const rig = new NvmeRig();
    rig.enable();
    const twoPages = { prp1: DATA + 0x800, prp2: DATA + 0x4000 };
    expect(rig.admin(ADMIN.identify, [CNS.controller], twoPages).status).toBe(0);
    expect(Buffer.from(rig.data(4, DATA + 0x800)).readUInt32LE()).toBe(0x1af4_1b36);
    // The first power state is in the second half.
    expect(Buffer.from(rig.data(2, DATA + 0x4000)).readUInt16LE()).toBe(2500);
    const { status } = rig.admin(ADMIN.identify, [CNS.controller], { prp1: 0x4000_0000 });
    expect(status).toBe(STATUS.dataTransferError);
    expect(rig.status).toBe(CSTS.ready);
  });
});

describe('commands that create and delete queues', () => {
  const base = completionBase(1);
  test.each([
    ['a queue 0', ADMIN.createCompletionQueue, [15 << 16, 1], base, STATUS.invalidQueueIdentifier],
    ['a queue 5 of 4', ADMIN.createCompletionQueue, [(15 << 16) | 5, 1], base, STATUS.invalidQueueIdentifier],
    [
      'a second queue 2',
      ADMIN.createCompletionQueue,
      [(15 << 16) | 2, 1],
      base,
      STATUS.invalidQueueIdentifier,
    ],
    ['one entry', ADMIN.createCompletionQueue, [1, 1], base, STATUS.invalidQueueSize],
    ['1025 entries', ADMIN.createCompletionQueue, [(1024 << 16) | 1, 1], base, STATUS.invalidQueueSize],
    ['pieces', ADMIN.createCompletionQueue, [(15 << 16) | 1, 0], base, STATUS.invalidField],
    [
      'a place in a page',
      ADMIN.createCompletionQueue,
      [(15 << 16) | 1, 1],
      base + 64,
      STATUS.invalidPrpOffset,
    ],
    ['a place beyond', ADMIN.createCompletionQueue, [(15 << 16) | 1, 1], 2 ** 60, STATUS.invalidField],
    [
      'vector 5 of 0 to 4',
      ADMIN.createCompletionQueue,
      [(15 << 16) | 1, 0x5_0003],
      base,
      STATUS.invalidInterruptVector,
    ],
    [
      'commands for queue 0',
      ADMIN.createSubmissionQueue,
      [(15 << 16) | 1, 1],
      base,
      STATUS.invalidQueueIdentifier,
    ],
    [
      'commands for no queue',
      ADMIN.createSubmissionQueue,
      [(15 << 16) | 1, 0x3_0001],
      base,
      STATUS.invalidCompletionQueue,
    ],
    [
      'a second 2',
      ADMIN.createSubmissionQueue,
      [(15 << 16) | 2, 0x2_0001],
      base,
      STATUS.invalidQueueIdentifier,
    ],
    ['the admin queue', ADMIN.deleteSubmissionQueue, [0], 0, STATUS.invalidQueueIdentifier],
    ['no queue', ADMIN.deleteSubmissionQueue, [1], 0, STATUS.invalidQueueIdentifier],
    ['no completions', ADMIN.deleteCompletionQueue, [1], 0, STATUS.invalidQueueIdentifier],
    ['the admin completions', ADMIN.deleteCompletionQueue, [0], 0, STATUS.invalidQueueIdentifier],
    ['a queue in use', ADMIN.deleteCompletionQueue, [2], 0, STATUS.invalidQueueDeletion],
  ])('reject %s', (_, opcode, dwords, prp1, status) => {
    const rig = new NvmeRig('nvme', { queues: 4 });
    rig.enableMsix(5);
    rig.enable();
    rig.createPair(2);
    expect(rig.admin(opcode, dwords, { prp1 })).toMatchObject({ status, doNotRetry: true });
  });

  test('require the entry sizes in CC', () => {
    const rig = new NvmeRig();
    rig.enable(CC.enable);
    const refused = rig.admin(ADMIN.createCompletionQueue, [(15 << 16) | 1, 1], { prp1: base });
    expect(refused.status).toBe(STATUS.invalidQueueSize);
  });

  test('wait for the commands of a deleted queue, and drop those not started', () => {
    const rig = new NvmeRig();
    rig.enable();
    rig.createPair(1);
    rig.send(1, { opcode: NVM.read, dwords: [0, 0, 7] });
    const id = rig.send(0, { opcode: ADMIN.deleteSubmissionQueue, dwords: [1] });
    expect(rig.peek(0)).toBeNull();
    rig.send(1, { opcode: NVM.read, dwords: [0, 0, 7] });
    rig.send(0, { opcode: ADMIN.deleteSubmissionQueue, dwords: [1] });
    expect(rig.receive(0)).toMatchObject([{ status: STATUS.invalidQueueIdentifier }]);
    rig.settle();
    expect(rig.receive(0)).toMatchObject([{ id, status: 0 }]);
    expect(rig.disk.port!.log).toEqual(['read 0 4096']);
    expect(rig.receive(1)).toHaveLength(1);
    expect(rig.run(0, { opcode: ADMIN.deleteCompletionQueue, dwords: [1] }).status).toBe(0);
  });
});

describe('features', () => {
  const rig = new NvmeRig('nvme', { queues: 8 });
  rig.enable();
  const get = (feature: number, value = 0, select = 0) =>
    rig.admin(ADMIN.getFeatures, [feature | (select << 8), value]);
  const set = (feature: number, value: number) => rig.admin(ADMIN.setFeatures, [feature, value]);

  test('report the number of queues, before there are any', () => {
    expect(set(FEATURE.numberOfQueues, 0x3_0003)).toMatchObject({ status: 0, result: 0x7_0007 });
    expect(set(FEATURE.numberOfQueues, 0xffff).status).toBe(STATUS.invalidField);
    expect(get(FEATURE.numberOfQueues).result).toBe(0x7_0007);
    rig.createPair(1);
    expect(set(FEATURE.numberOfQueues, 0x3_0003).status).toBe(STATUS.commandSequenceError);
  });

  test('turn the write cache off after a flush, and on', () => {
    expect([get(FEATURE.writeCache).result, rig.disk.writeThrough]).toEqual([1, false]);
    rig.disk.port!.log.length = 0;
    expect(set(FEATURE.writeCache, 0).status).toBe(0);
    expect([get(FEATURE.writeCache).result, rig.disk.writeThrough]).toEqual([0, true]);
    expect(rig.disk.port!.log).toEqual(['flush']);
    expect(get(FEATURE.writeCache, 0, 1).result).toBe(1);
    expect(set(FEATURE.writeCache, 1).status).toBe(0);
    expect(rig.disk.writeThrough).toBe(false);
  });

  test.each([
    ['arbitration', FEATURE.arbitration, 0x0403_0201, 0x0403_0201],
    ['interrupt coalescing', FEATURE.interruptCoalescing, 0x1234, 0x1234],
    ['the vector 3', FEATURE.interruptVector, 0x1_0003, 0x1_0003],
    ['events', FEATURE.eventConfiguration, 0xffff_ffff, 0x102],
    ['error recovery', FEATURE.errorRecovery, 5, 5],
    ['the upper temperature threshold', FEATURE.temperatureThreshold, 400, 400],
    ['the lower one', FEATURE.temperatureThreshold, 0x10_0000 | 300, 300],
  ])('keep %s', (_, feature, value, kept) => {
    expect(set(feature, value).status).toBe(0);
    expect(get(feature, value).result).toBe(kept);
    expect(get(feature, value, 3).result).toBe(feature === FEATURE.errorRecovery ? 6 : 4);
    rig.admin(ADMIN.setFeatures, [feature, feature === FEATURE.temperatureThreshold ? value : 3]);
  });

  test('reject what is not supported', () => {
    expect(get(0x7f).status).toBe(STATUS.invalidField);
    expect(get(FEATURE.interruptVector, 9).status).toBe(STATUS.invalidField);
    expect(get(FEATURE.temperatureThreshold, 1 << 16).status).toBe(STATUS.invalidField);
    expect(set(FEATURE.powerManagement, 1).status).toBe(STATUS.invalidField);
    expect(set(FEATURE.powerManagement, 0).status).toBe(0);
    const saved = rig.admin(ADMIN.setFeatures, [FEATURE.writeCache | 0x8000_0000, 1]);
    expect(saved.status).toBe(STATUS.featureNotSaveable);
    expect(get(FEATURE.writeCache, 0, 7).status).toBe(STATUS.invalidField);
  });
});

describe('log pages', () => {
  const log = (rig: NvmeRig, page: number, bytes: number, more: Record<string, number> = {}) => {
    const { offset = 0, retain = 0, namespace = ALL_NAMESPACES } = more;
    const dwords = [page | (retain << 15) | ((bytes / 4 - 1) << 16), 0, offset];
    return rig.admin(ADMIN.getLogPage, dwords, { namespace });
  };

  test('count commands, and record errors', () => {
    const rig = new NvmeRig();
    rig.enable();
    rig.createPair(1);
    for (let index = 0; index < 3; index++) rig.run(1, { opcode: NVM.read, dwords: [0, 0, 7] });
    rig.run(1, { opcode: NVM.write, dwords: [0, 0, 7] });
    const failed = rig.run(1, { opcode: NVM.read, dwords: [0xffff_ffff, 0, 0] });
    rig.disk.port!.failures.push('host');
    rig.run(1, { opcode: NVM.read });
    expect(log(rig, LOG.smart, 512).status).toBe(0);
    const smart = new DataView(rig.data(512).slice().buffer);
    expect([smart.getUint8(0), smart.getUint16(1, true), smart.getUint8(3)]).toEqual([0, 323, 100]);
    const counts = [32, 48, 64, 80, 160, 176].map(at => Number(smart.getBigUint64(at, true)));
    expect(counts).toEqual([1, 1, 3, 1, 1, 2]);
    log(rig, LOG.errors, 128);
    const errors = new DataView(rig.data(128).slice().buffer);
    expect([errors.getBigUint64(0, true), errors.getBigUint64(64, true)]).toEqual([2n, 1n]);
    expect([errors.getUint16(72, true), errors.getUint16(74, true)]).toEqual([1, failed.id]);
    expect([errors.getUint16(76, true) >> 1, errors.getUint32(88, true)]).toEqual([
      ...[0x4000 | STATUS.lbaOutOfRange, 1],
    ]);
    expect(errors.getBigUint64(80, true)).toBe(0xffff_ffffn);
    log(rig, LOG.firmware, 512);
    expect([
      rig.data(1)[0],
      Buffer.from(rig.data(8, DATA + 8))
        .toString()
        .trim(),
    ]).toEqual([1, '1.0']);
  });

  test('are read in part, and not beyond their end', () => {
    const rig = new NvmeRig();
    rig.enable();
    rig.data(8192).fill(0xee);
    expect(log(rig, LOG.smart, 1024, { offset: 508 }).status).toBe(0);
    expect([...rig.data(6)]).toEqual([0, 0, 0, 0, 0xee, 0xee]);
    expect(log(rig, LOG.smart, 512, { offset: 512 }).status).toBe(STATUS.invalidField);
    expect(log(rig, LOG.smart, 512, { offset: 2 }).status).toBe(STATUS.invalidField);
    expect(log(rig, LOG.smart, 512, { namespace: 1 }).status).toBe(STATUS.invalidField);
    expect(log(rig, 0x77, 512).status).toBe(STATUS.invalidLogPage);
    // A length of 16 GiB: the page is all there is.
    expect(rig.admin(ADMIN.getLogPage, [LOG.smart | 0xffff_0000, 0xffff]).status).toBe(0);
  });

  test('list changed namespaces once, after an event', () => {
    const rig = new NvmeRig();
    rig.enable();
    rig.admin(ADMIN.setFeatures, [FEATURE.eventConfiguration, 1 << 8]);
    const id = rig.send(0, { opcode: ADMIN.eventRequest });
    rig.send(0, { opcode: ADMIN.eventRequest });
    const { disk } = rig.built.capabilities!;
    disk!.resize(2 ** 20);
    expect(rig.receive(0)).toMatchObject([{ id, status: 0, result: 0x04_00_02 }]);
    // The next is reported once the driver has looked.
    disk!.resize(2 ** 21);
    expect(rig.receive(0)).toEqual([]);
    log(rig, LOG.changedNamespaces, 4096, { retain: 1 });
    expect(rig.receive(0)).toEqual([]);
    disk!.resize(2 ** 22);
    expect(log(rig, LOG.changedNamespaces, 4096).status).toBe(0);
    expect([...rig.data(8)]).toEqual([1, 0, 0, 0, 0, 0, 0, 0]);
    log(rig, LOG.changedNamespaces, 4096);
    expect(rig.data(4)[0]).toBe(0);
    expect(rig.identify(CNS.namespace, 1).getBigUint64(0, true)).toBe(8192n);
  });

  test('report that a temperature threshold is exceeded', () => {
    const rig = new NvmeRig();
    rig.enable();
    const id = rig.send(0, { opcode: ADMIN.eventRequest });
    rig.admin(ADMIN.setFeatures, [FEATURE.eventConfiguration, 1 << 1]);
    rig.send(0, { opcode: ADMIN.setFeatures, dwords: [FEATURE.temperatureThreshold, 300] });
    expect(rig.receive(0)).toMatchObject([{ id, result: 0x02_01_01 }, { status: 0 }]);
    log(rig, LOG.smart, 512);
    expect(rig.data(1)[0]).toBe(2);
  });
});

describe('events', () => {
  test('are limited to four outstanding requests', () => {
    const rig = new NvmeRig();
    rig.enable();
    for (let count = 0; count < 4; count++) rig.send(0, { opcode: ADMIN.eventRequest });
    expect(rig.receive(0)).toEqual([]);
    expect(rig.run(0, { opcode: ADMIN.eventRequest }).status).toBe(STATUS.tooManyEventRequests);
  });

  test('report invalid doorbells and doorbell values', () => {
    const rig = new NvmeRig();
    rig.enable();
    rig.createPair(1);
    const ids = [0, 1].map(() => rig.send(0, { opcode: ADMIN.eventRequest }));
    rig.ringTail(2, 1);
    rig.ringTail(1, 16);
    expect(rig.receive(0)).toMatchObject([{ id: ids[0], result: 0x01_00_00 }]);
    rig.admin(ADMIN.getLogPage, [LOG.errors | (15 << 16)]);
    const got = rig.pairs.get(0)!.head;
    expect(got).toBe(5);
    expect(rig.data(16)[0]).toBe(2);
    expect(rig.data(2, DATA + 8)).toEqual(Uint8Array.of(0xff, 0xff));
    // Entries that the controller has not written cannot have been taken.
    rig.ringHead(1, 1);
    rig.ringHead(9, 0);
    expect(rig.status).toBe(CSTS.ready);
    expect(rig.run(1, { opcode: NVM.flush }).status).toBe(0);
  });
});

test('unsupported commands are rejected', () => {
  const rig = new NvmeRig();
  rig.enable();
  rig.createPair(1);
  expect(rig.admin(0x7c).status).toBe(STATUS.invalidOpcode);
  expect(rig.admin(ADMIN.identify, [1], { flags: 0x4000 }).status).toBe(STATUS.invalidField);
  expect(rig.admin(ADMIN.identify, [1], { flags: 0x0100 }).status).toBe(STATUS.invalidField);
  expect(rig.admin(ADMIN.abort, [1])).toMatchObject({ status: 0, result: 1 });
  expect(rig.run(1, { opcode: 0x15 }).status).toBe(STATUS.invalidOpcode);
  expect(rig.run(1, { opcode: NVM.read, flags: 0x8000 }).status).toBe(STATUS.invalidField);
});
