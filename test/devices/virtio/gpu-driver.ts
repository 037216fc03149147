import type { FakeMachine } from '../../support/fake-machine.ts';
import { type DriverQueue, type GuestDriver, VERSION_1 } from './guest-driver.ts';

export const EDID = 1n << 1n;
export const HEADER = 24;

/** Addresses of the driver's queues, a command and its response. */
const PLACES = { queues: 0x1000, command: 0x8000, response: 0xc000 } as const;
const ROOM = 0x2000;

export const TYPE = {
  ...{ displayInfo: 0x100, create: 0x101, unref: 0x102, setScanout: 0x103, flush: 0x104, transfer: 0x105 },
  ...{ attach: 0x106, detach: 0x107, capset: 0x108, edid: 0x10a, updateCursor: 0x300, moveCursor: 0x301 },
} as const;

/** A rectangle as a command has it. */
export type Words = readonly [x: number, y: number, width: number, height: number];

/** The driver of a virtio GPU: sends one command after the other. */
export class GpuDriver {
  readonly machine: FakeMachine;
  readonly driver: GuestDriver;
  readonly control: DriverQueue;
  readonly cursor: DriverQueue;

  constructor(machine: FakeMachine, driver: GuestDriver, features = EDID) {
    this.machine = machine;
    this.driver = driver;
    driver.negotiate(VERSION_1 | (features & driver.offered));
    machine.memory.writable(PLACES.queues, 0x2000).fill(0);
    this.control = driver.queue(0, 16, PLACES.queues);
    this.cursor = driver.queue(1, 16, PLACES.queues + 0x1000);
    for (const queue of [this.control, this.cursor]) queue.enable();
    driver.driverOk();
  }

  /** @param words what follows the header. @returns the response */
  send(type: number, words: readonly number[] = [], options: SendOptions = {}): DataView {
    const { fence = 0, queue = this.control, bytes = HEADER + 4 * words.length } = options;
    const { memory, eventFds } = this.machine;
    const at = PLACES.command;
    memory.writable(at, HEADER).fill(0);
    memory.writeU32(at, type);
    memory.writeU32(at + 4, fence === 0 ? 0 : 1);
    memory.writeU64(at + 8, BigInt(fence));
    for (const [index, word] of words.entries()) memory.writeU32(at + HEADER + 4 * index, word >>> 0);
    memory.writable(PLACES.response, ROOM).fill(0xee);
    queue.add({ address: at, length: bytes }, { address: PLACES.response, length: ROOM, write: true });
    queue.kick();
    eventFds.settle();
    const written = queue.collect()[0]?.written ?? 0;
    const response = memory.readable(PLACES.response, written).slice();
    return new DataView(response.buffer);
  }

  /** @returns the type of the response, of one without a body */
  ask(type: number, words: readonly number[] = [], options: SendOptions = {}): number {
    const response = this.send(type, words, options);
    return response.byteLength === 0 ? 0 : response.getUint32(0, true);
  }

  create(id: number, width: number, height: number, format = 1): number {
    return this.ask(TYPE.create, [id, format, width, height]);
  }

  attach(id: number, ...parts: readonly (readonly [address: number, length: number])[]): number {
    const entries = parts.flatMap(([address, length]) => [address, 0, length, 0]);
    return this.ask(TYPE.attach, [id, parts.length, ...entries]);
  }

  transfer(id: number, rect: Words, offset = 0): number {
    return this.ask(TYPE.transfer, [...rect, offset, 0, id, 0]);
  }

  setScanout(id: number, rect: Words): number {
    return this.ask(TYPE.setScanout, [...rect, 0, id]);
  }

  flush(id: number, rect: Words): number {
    return this.ask(TYPE.flush, [...rect, id, 0]);
  }

  updateCursor(id: number, x: number, y: number): number {
    return this.ask(TYPE.updateCursor, [0, x, y, 0, id, 0, 0, 0], { queue: this.cursor });
  }

  moveCursor(x: number, y: number): number {
    return this.ask(TYPE.moveCursor, [0, x, y, 0, 0, 0, 0, 0], { queue: this.cursor });
  }
}

type SendOptions = {
  readonly fence?: number;
  readonly queue?: DriverQueue;
  /** The length of the command, if truncated. */
  readonly bytes?: number;
};
