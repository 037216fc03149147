import * as z from 'zod';
import type { BuiltDevice } from '../../../src/devices/device-type.ts';
import { COMMAND, REG as PCI } from '../../../src/devices/pci/registers.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { ADMIN } from '../../../src/devices/storage/nvme/opcodes.ts';
import { REG, SPACE } from '../../../src/devices/storage/nvme/registers.ts';
import { FakeBlockBackend } from '../../support/fake-block-backend.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { FakeMemory } from '../../support/fake-memory.ts';

const MiB = 2 ** 20;
const PAGE = 4096;

/** Addresses of the driver's queues: a submission and a completion queue, 64 KiB each. */
const QUEUES = 0x10_0000;
const QUEUE_BYTES = 0x1_0000;
export const DATA = 0x1_0000;
export const LIST = 0x8000;
/** Enabled, with entries of 64 and 16 bytes and pages of 4 KiB. */
export const ENABLE = 0x46_0001;
const ADMIN_ENTRIES = 32;

export type Sent = {
  readonly opcode: number;
  readonly id?: number;
  readonly namespace?: number;
  readonly prp1?: number;
  readonly prp2?: number;
  /** From dword 10 on. */
  readonly dwords?: readonly number[];
  /** Of dword 0, besides opcode and identifier. */
  readonly flags?: number;
};

export type Received = {
  readonly result: number;
  readonly head: number;
  readonly queue: number;
  readonly id: number;
  readonly phase: number;
  /** Status code type and status code. */
  readonly status: number;
  readonly doNotRetry: boolean;
};

type Pair = { entries: number; tail: number; head: number; phase: number; completions: number };

export const submissionBase = (id: number) => QUEUES + 2 * id * QUEUE_BYTES;
export const completionBase = (id: number) => submissionBase(id) + QUEUE_BYTES;

/** A machine with an NVMe controller that has one disk, and its driver. */
export class NvmeRig {
  readonly machine = new FakeMachine(new FakeMemory(4 * MiB));
  readonly disk = new FakeBlockBackend();
  readonly #disks = [this.disk];
  readonly built: BuiltDevice;
  readonly pairs = new Map<number, Pair>();
  #nextId = 0;

  constructor(type: 'nvme' | 'nvme-controller' = 'nvme', options: Record<string, unknown> = {}, disk = {}) {
    Object.assign(this.disk, disk);
    this.machine.disk = this.disk;
    this.built = this.build(type, type === 'nvme' ? { path: 'disk.img', ...options } : options);
    this.machine.chipset.attach({ type: deviceTable.find(type)!, built: this.built });
    this.machine.pci.assign();
    this.built.pci!.writeConfig(PCI.command, 2, COMMAND.memory | COMMAND.busMaster);
  }

  build(type: string, options: Record<string, unknown>, name = `${type}0`): BuiltDevice {
    const row = deviceTable.find(type)!;
    return row.create(this.machine.services, row.config(z).parse({ type, ...options }), name);
  }

  /** Attaches a namespace to the bus of a controller. */
  attach(
    id: number | null,
    options: Record<string, unknown> = {},
  ): { readonly built: BuiltDevice; readonly disk: FakeBlockBackend } {
    const disk = new FakeBlockBackend();
    this.#disks.push(disk);
    this.machine.disk = disk;
    const built = this.build('nvme-ns', { path: 'ns.img', ...options }, `ns${this.#disks.length}`);
    this.built.bus!.attach(built, id === null ? null : { unit: id, function: 0 });
    return { built, disk };
  }

  get #base(): number {
    return this.built.pci!.bars[0]!.address!;
  }

  read(offset: number, size: 1 | 2 | 4 = 4): number {
    return this.machine.memoryBus.read(this.#base + offset, size);
  }

  write(offset: number, value: number, size: 1 | 2 | 4 = 4): void {
    this.machine.memoryBus.write(this.#base + offset, size, value >>> 0);
  }

  get status(): number {
    return this.read(REG.csts);
  }

  /** Sets the admin queues up, and enables the controller. */
  enable(cc = ENABLE, entries = ADMIN_ENTRIES): void {
    this.write(REG.aqa, ((entries - 1) << 16) | (entries - 1));
    this.write(REG.asq, submissionBase(0));
    this.write(REG.acq, completionBase(0));
    for (const high of [REG.asqHigh, REG.acqHigh]) this.write(high, 0);
    this.#newPair(0, entries, 0);
    this.write(REG.cc, cc);
  }

  #newPair(id: number, entries: number, completions: number): void {
    this.machine.memory.writable(submissionBase(id), 2 * QUEUE_BYTES).fill(0);
    this.pairs.set(id, { entries, tail: 0, head: 0, phase: 1, completions });
  }

  /** Turns MSI-X on, with one message for each vector. */
  enableMsix(vectors: number): void {
    const fn = this.built.pci!;
    for (let vector = 0; vector < vectors; vector++) {
      const at = SPACE.msixTable + 16 * vector;
      this.write(at, 0xfee0_0000);
      this.write(at + 8, vector);
      this.write(at + 12, 0);
    }
    for (let at = fn.config.u8(PCI.capabilities); at !== 0; at = fn.config.u8(at + 1))
      if (fn.config.u8(at) === 0x11) fn.writeConfig(at + 2, 2, 0x8000);
  }

  /** Puts a command into a queue, without ringing the doorbell. @returns its identifier */
  fill(queue: number, sent: Sent): number {
    const { memory } = this.machine;
    const pair = this.pairs.get(queue)!;
    const { opcode, id = this.#nextId++ & 0xffff, namespace = 1, prp1 = DATA, prp2 = 0 } = sent;
    const at = submissionBase(queue) + 64 * pair.tail;
    memory.writable(at, 64).fill(0);
    memory.writeU32(at, (opcode | (sent.flags ?? 0) | (id << 16)) >>> 0);
    memory.writeU32(at + 4, namespace);
    memory.writeU64(at + 24, BigInt(prp1));
    memory.writeU64(at + 32, BigInt(prp2));
    for (const [index, dword] of (sent.dwords ?? []).entries())
      memory.writeU32(at + 40 + 4 * index, dword >>> 0);
    pair.tail = (pair.tail + 1) % pair.entries;
    return id;
  }

  ringTail(queue: number, value = this.pairs.get(queue)!.tail): void {
    this.write(SPACE.doorbells + 8 * queue, value);
  }

  ringHead(queue: number, value = this.pairs.get(queue)!.head): void {
    this.write(SPACE.doorbells + 8 * queue + 4, value);
  }

  send(queue: number, sent: Sent): number {
    const id = this.fill(queue, sent);
    this.ringTail(queue);
    return id;
  }

  /** The next new entry of a completion queue; null if there is none. */
  peek(queue: number): Received | null {
    const { memory } = this.machine;
    const pair = this.pairs.get(queue)!;
    const at = completionBase(queue) + 16 * pair.head;
    const last = memory.readU32(at + 12);
    if (((last >>> 16) & 1) !== pair.phase) return null;
    const where = memory.readU32(at + 8);
    return {
      result: memory.readU32(at),
      head: where & 0xffff,
      queue: where >>> 16,
      id: last & 0xffff,
      phase: pair.phase,
      status: (last >>> 17) & 0x7ff,
      doNotRetry: last >>> 31 === 1,
    };
  }

  /** Takes all new entries, and rings the doorbell. */
  receive(queue: number): Received[] {
    const pair = this.pairs.get(queue)!;
    const all: Received[] = [];
    for (let one = this.peek(queue); one !== null; one = this.peek(queue)) {
      all.push(one);
      pair.head = (pair.head + 1) % pair.entries;
      if (pair.head === 0) pair.phase ^= 1;
    }
    if (all.length > 0) this.ringHead(queue);
    return all;
  }

  /** Executes a command. */
  run(queue: number, sent: Sent): Received {
    const id = this.send(queue, sent);
    this.settle();
    const all = this.receive(this.pairs.get(queue)!.completions);
    const one = all.find(received => received.id === id);
    if (one === undefined) throw new Error(`command ${id} has not ended`);
    return one;
  }

  admin(opcode: number, dwords: readonly number[] = [], more: Partial<Sent> = {}): Received {
    return this.run(0, { opcode, dwords, namespace: 0, ...more });
  }

  /** Creates a pair of queues. */
  createPair(id: number, entries = 16, vector = 0): void {
    const size = (((entries - 1) << 16) | id) >>> 0;
    this.#newPair(id, entries, id);
    const completion = [size, ((vector << 16) | 3) >>> 0];
    const one = this.admin(ADMIN.createCompletionQueue, completion, { prp1: completionBase(id) });
    const two = this.admin(ADMIN.createSubmissionQueue, [size, ((id << 16) | 1) >>> 0], {
      prp1: submissionBase(id),
    });
    if (one.status !== 0 || two.status !== 0) throw new Error(`queues ${one.status} ${two.status}`);
  }

  /** Lets the host complete all requests. */
  settle(): void {
    for (let round = 0; round < 1000; round++) {
      for (const disk of this.#disks) if (disk.port?.closed === false) disk.port.settle();
      if (this.machine.clock.timers === 0) return;
      this.machine.clock.advance(1);
    }
    throw new Error('the controller does not come to rest');
  }

  data(length: number, address = DATA): Uint8Array {
    return this.machine.memory.readable(address, length);
  }

  /** Puts a list of pages into memory. */
  list(pages: readonly number[], at = LIST): void {
    for (const [index, page] of pages.entries()) this.machine.memory.writeU64(at + 8 * index, BigInt(page));
  }

  /** The bytes of Identify. */
  identify(what: number, namespace = 0): DataView {
    const { status } = this.admin(ADMIN.identify, [what], { namespace });
    if (status !== 0) throw new Error(`identify ${what}: ${status}`);
    return new DataView(this.data(PAGE).slice().buffer);
  }
}
