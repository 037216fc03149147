import { describe, expect, test } from 'vitest';
import { COMMAND, REG as PCI } from '../../../src/devices/pci/registers.ts';
import { FEATURE } from '../../../src/devices/storage/nvme/features.ts';
import { CNS } from '../../../src/devices/storage/nvme/identify.ts';
import { ADMIN, ALL_NAMESPACES, NVM } from '../../../src/devices/storage/nvme/opcodes.ts';
import { CC, CSTS, REG, SPACE } from '../../../src/devices/storage/nvme/registers.ts';
import { STATUS } from '../../../src/devices/storage/nvme/status.ts';
import { Random } from '../../support/random.ts';
import { DATA, ENABLE, LIST, NvmeRig, submissionBase } from './nvme-driver.ts';

const MEMORY = 4 * 2 ** 20;

function started(type: 'nvme' | 'nvme-controller' = 'nvme'): NvmeRig {
  const rig = new NvmeRig(type);
  rig.enable();
  rig.createPair(1);
  return rig;
}

describe('a reset of the controller', () => {
  test('completes once no request can reach memory, and allows new queues after that', () => {
    const rig = started();
    rig.disk.port!.hangs = true;
    rig.send(1, { opcode: NVM.read, dwords: [0, 0, 7] });
    rig.write(REG.cc, 0);
    expect(rig.status).toBe(CSTS.ready);
    // The driver does not wait.
    rig.enable();
    expect(rig.status).toBe(CSTS.ready);
    expect(rig.disk.port!.pending).toBe(0);
    rig.send(0, { opcode: ADMIN.identify, dwords: [1] });
    expect(rig.peek(0)).toBeNull();
    rig.disk.port!.release();
    expect(rig.status).toBe(CSTS.ready);
    rig.disk.port!.hangs = false;
    rig.enable(0);
    rig.enable();
    expect(rig.admin(ADMIN.identify, [1]).status).toBe(0);
    expect(rig.peek(1)).toBeNull();
    // The queue is gone.
    rig.createPair(1);
    expect(rig.run(1, { opcode: NVM.flush }).status).toBe(0);
  });

  test('resets features, and drops event requests', () => {
    const rig = started();
    rig.admin(ADMIN.setFeatures, [FEATURE.writeCache, 0]);
    rig.admin(ADMIN.setFeatures, [FEATURE.eventConfiguration, 0x100]);
    rig.send(0, { opcode: ADMIN.eventRequest });
    rig.write(REG.cc, 0);
    rig.built.capabilities!.disk!.resize(2 ** 20);
    rig.enable();
    expect(rig.disk.writeThrough).toBe(false);
    expect(rig.admin(ADMIN.getFeatures, [FEATURE.eventConfiguration]).result).toBe(0);
    expect(rig.pairs.get(0)!.head).toBe(1);
  });

  test('by the bus resets everything', () => {
    const rig = started();
    rig.enableMsix(2);
    rig.send(1, { opcode: NVM.read });
    rig.built.pci!.busReset();
    rig.machine.pci.assign();
    rig.built.pci!.writeConfig(PCI.command, 2, COMMAND.memory | COMMAND.busMaster);
    expect([rig.status, rig.read(REG.cc), rig.read(REG.aqa), rig.read(REG.asq)]).toEqual([0, 0, 0, 0]);
    expect(rig.read(SPACE.msixTable + 12)).toBe(1);
    expect(rig.disk.port!.pending).toBe(0);
    rig.enable();
    expect(rig.admin(ADMIN.identify, [1]).status).toBe(0);
  });
});

test('a shutdown completes when all writes are durable', () => {
  const rig = started();
  rig.run(1, { opcode: NVM.write, dwords: [0, 0, 7] });
  rig.write(REG.cc, ENABLE | (1 << 14));
  expect(rig.status).toBe(CSTS.ready | CSTS.shutdownOccurring);
  rig.settle();
  expect(rig.status).toBe(CSTS.ready | CSTS.shutdownComplete);
  expect(rig.disk.port!.log).toEqual(['write 0 4096', 'flush']);
  rig.write(REG.cc, 0);
  expect(rig.status).toBe(0);
  rig.enable();
  expect(rig.status).toBe(CSTS.ready);
});

test('memory is accessed only as a bus master in D0', () => {
  const rig = started();
  const fn = rig.built.pci!;
  let power = fn.config.u8(PCI.capabilities);
  while (fn.config.u8(power) !== 1) power = fn.config.u8(power + 1);
  for (const [off, on] of [
    [
      () => fn.writeConfig(PCI.command, 2, COMMAND.memory),
      () => fn.writeConfig(PCI.command, 2, COMMAND.memory | COMMAND.busMaster),
    ],
    [() => fn.writeConfig(power + 4, 2, 3), () => fn.writeConfig(power + 4, 2, 0)],
  ]) {
    rig.send(1, { opcode: NVM.flush });
    off!();
    rig.settle();
    expect(rig.peek(1)).toBeNull();
    rig.send(1, { opcode: NVM.flush });
    rig.settle();
    on!();
    rig.settle();
    expect(rig.receive(1)).toMatchObject([{ status: 0 }, { status: 0 }]);
  }
  expect(rig.disk.port!.log).toHaveLength(4);
});

describe('namespaces', () => {
  test('are separate disks', () => {
    const rig = new NvmeRig('nvme-controller');
    const [one, two] = [rig.attach(null), rig.attach(9)];
    two.disk.size = 2 ** 20;
    rig.enable();
    rig.createPair(1);
    expect([one, two].map(({ built }) => rig.built.bus!.addressOf!(built))).toEqual([
      { unit: 1, function: 0 },
      { unit: 9, function: 0 },
    ]);
    expect(() => rig.attach(9)).toThrow('ns4: namespace 9 of nvme-controller0 is taken');
    expect([...new Uint32Array(rig.identify(CNS.activeNamespaces).buffer, 0, 3)]).toEqual([1, 9, 0]);
    rig.run(1, { opcode: NVM.write, namespace: 9, dwords: [8, 0, 7] });
    rig.run(1, { opcode: NVM.read, namespace: 1, dwords: [0, 0, 7] });
    expect([one.disk.port!.log, two.disk.port!.log]).toEqual([['read 0 4096'], ['write 4096 4096']]);
    expect(rig.run(1, { opcode: NVM.read, namespace: 2 }).status).toBe(STATUS.invalidField);
    expect(rig.run(1, { opcode: NVM.read, namespace: 65 }).status).toBe(STATUS.invalidNamespace);
    rig.run(1, { opcode: NVM.flush, namespace: ALL_NAMESPACES });
    expect([one.disk.port!.log.at(-1), two.disk.port!.log.at(-1)]).toEqual(['flush', 'flush']);
    expect(rig.built.facts).toContainEqual({ label: 'namespaces', value: 2 });
    expect(rig.built.bus!.bootPath!.node).toBe('pci8086,5845');
    const below = rig.built.bus!.bootPath!.below as (at: { unit: number; function: number }) => string;
    expect(below({ unit: 9, function: 0 })).toBe('/namespace@9,0');
  });

  test('are attached and detached while the guest runs, with an event', () => {
    const rig = started('nvme-controller');
    rig.attach(1);
    const two = rig.attach(2);
    const { units } = rig.built.bus!;
    expect(units!.announce(two.built)).toBe(false);
    rig.admin(ADMIN.setFeatures, [FEATURE.eventConfiguration, 0x100]);
    const ids = [0, 1].map(() => rig.send(0, { opcode: ADMIN.eventRequest }));
    const three = rig.attach(3);
    expect(units!.announce(three.built)).toBe(true);
    expect(rig.receive(0)).toMatchObject([{ id: ids[0], result: 0x04_00_02 }]);
    const log = () => {
      rig.admin(ADMIN.getLogPage, [0x04 | (1023 << 16)]);
      return [...new Uint32Array(rig.data(16).slice().buffer)];
    };
    expect(log()).toEqual([2, 3, 0, 0]);
    const left = rig.send(1, { opcode: NVM.read, namespace: 2, dwords: [0, 0, 7] });
    const flush = rig.send(1, { opcode: NVM.flush, namespace: ALL_NAMESPACES });
    rig.built.bus!.detach!(two.built);
    two.built.device.close!();
    rig.settle();
    expect(rig.receive(1)).toMatchObject([
      { id: left, status: STATUS.invalidNamespace },
      { id: flush, status: STATUS.writeFault },
    ]);
    expect(rig.receive(0)).toMatchObject([{ id: ids[1] }]);
    expect(log()).toEqual([2, 0, 0, 0]);
    expect(rig.run(1, { opcode: NVM.read, namespace: 2 }).status).toBe(STATUS.invalidField);
    expect(units!.free()).toEqual({ unit: 2, function: 0 });
  });
});

describe('a state with commands in progress', () => {
  /** Another machine with the memory of this one, in its state. */
  const moved = (rig: NvmeRig): NvmeRig => {
    rig.built.device.quiesce!(() => {});
    const other = new NvmeRig();
    other.machine.memory.writable(0, MEMORY).set(rig.machine.memory.readable(0, MEMORY));
    other.built.device.quiesce!(() => {});
    other.built.device.load(structuredClone(rig.built.device.save()));
    for (const [id, pair] of rig.pairs) other.pairs.set(id, { ...pair });
    return other;
  };

  test('continues in another controller', () => {
    const rig = started();
    rig.admin(ADMIN.setFeatures, [FEATURE.eventConfiguration, 0x100]);
    rig.admin(ADMIN.setFeatures, [FEATURE.writeCache, 0]);
    const event = rig.send(0, { opcode: ADMIN.eventRequest });
    const read = rig.send(1, { opcode: NVM.read, dwords: [8, 0, 7] });
    const deletion = rig.send(0, { opcode: ADMIN.deleteSubmissionQueue, dwords: [1] });
    const other = moved(rig);
    other.disk.content.write(4096, new Uint8Array(4096).fill(3));
    expect(other.disk.writeThrough).toBe(true);
    other.built.device.resume!();
    expect([other.peek(0), other.peek(1)]).toEqual([null, null]);
    other.settle();
    expect(other.receive(1)).toMatchObject([{ id: read, status: 0 }]);
    expect(other.data(4096)[4095]).toBe(3);
    other.built.capabilities!.disk!.resize(2 ** 20);
    expect(other.receive(0)).toMatchObject([{ id: deletion }, { id: event, result: 0x04_00_02 }]);
    // The first one continues as well, without doing anything twice.
    rig.built.device.resume!();
    rig.settle();
    expect([rig.receive(1).length, rig.disk.port!.log.filter(text => text !== 'flush')]).toEqual([
      ...[1, ['read 4096 4096']],
    ]);
  });

  test('keeps waiting completions, and a shutdown', () => {
    const rig = started();
    rig.createPair(2, 2);
    for (let count = 0; count < 3; count++) {
      rig.send(2, { opcode: NVM.flush });
      rig.settle();
    }
    rig.write(REG.cc, ENABLE | (1 << 14));
    const other = moved(rig);
    other.built.device.resume!();
    other.settle();
    expect(other.status).toBe(CSTS.ready | CSTS.shutdownComplete);
    const all = [0, 1, 2, 3].flatMap(() => {
      const received = other.receive(2);
      other.settle();
      return received;
    });
    expect(all).toHaveLength(3);
  });

  test('is rejected for a disk of another size', () => {
    const rig = started();
    rig.built.device.quiesce!(() => {});
    const other = new NvmeRig('nvme', {}, { size: 2 ** 20 });
    expect(() => other.built.device.load(rig.built.device.save())).toThrow(
      "disk of nvme0 has 1048576 bytes, but the saved machine's had 67108864: attach the same disk",
    );
  });
});

describe('a hostile guest', () => {
  test.each([1, 2, 3, 4, 5, 6])('does no harm with random registers and queues (%i)', seed => {
    const random = new Random(seed);
    const rig = started();
    rig.createPair(2);
    const { memory } = rig.machine;
    let ended = 0;
    const address = () =>
      random.pick([
        DATA,
        DATA + 4,
        LIST,
        LIST + 8,
        LIST + 4088,
        0,
        1,
        0x4000_0000,
        2 ** 53,
        2 ** 63,
        random.u32(),
      ]);
    const dword = () =>
      random.pick([0, 1, 7, 4, 15 << 16, 0x1_0001, 0xffff_ffff, random.below(300), random.u32()]);
    for (let step = 0; step < 5000; step++) {
      switch (random.below(10)) {
        case 0:
          rig.write(random.below(0x40) & ~3, random.pick([random.u32(), 0, 0xffff_ffff, ENABLE]));
          break;
        case 1:
          rig.write(SPACE.doorbells + 4 * random.below(16), random.pick([random.below(40), random.u32()]));
          break;
        case 2:
          rig.write(random.below(SPACE.size), random.below(256), random.pick([1, 2] as const));
          break;
        case 3:
          rig.read(random.below(SPACE.size) & ~3);
          break;
        case 4:
          memory.writeU32(
            random.pick([LIST, submissionBase(0), submissionBase(1)]) + 4 * random.below(0x400),
            dword(),
          );
          break;
        case 5:
          if (random.below(20) === 0) rig.disk.port!.failures.push('host');
          rig.disk.port!.step();
          rig.machine.clock.advance(1);
          break;
        case 6:
          if (random.below(4) > 0) break;
          rig.write(REG.cc, random.pick([0, 0, ENABLE | CC.shutdown]));
          rig.settle();
          rig.write(REG.cc, 0);
          rig.enable();
          for (const id of [1, 2]) {
            const size = (15 << 16) | id;
            for (const [opcode, flags] of [
              [ADMIN.createCompletionQueue, 3],
              [ADMIN.createSubmissionQueue, (id << 16) | 1],
            ])
              rig.send(0, {
                opcode: opcode!,
                prp1: submissionBase(id) + (opcode === 5 ? 0x1_0000 : 0),
                dwords: [size, flags!],
              });
            rig.pairs.set(id, { entries: 16, tail: 0, head: 0, phase: 1, completions: id });
          }
          rig.settle();
          break;
        default: {
          const queue = random.below(3);
          const opcodes = Object.values(queue === 0 ? ADMIN : NVM);
          rig.send(queue, {
            opcode: random.pick([...opcodes, ...opcodes, random.below(256)]),
            namespace: random.pick([0, 1, 1, 1, 2, ALL_NAMESPACES]),
            prp1: address(),
            prp2: address(),
            dwords: [random.pick([random.below(12), dword()]), dword(), dword(), random.below(2) * dword()],
            flags: random.below(30) === 0 ? random.u32() & 0xff00 : 0,
          });
          ended += rig.receive(queue).length;
        }
      }
      expect(rig.disk.port!.pending).toBeLessThanOrEqual(260);
    }
    rig.write(REG.cc, 0);
    rig.settle();
    rig.enable();
    expect(rig.admin(ADMIN.identify, [1]).status).toBe(0);
    expect(ended).toBeGreaterThan(200);
  });
});
