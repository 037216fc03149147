import { BatchedWork } from '../../batched-work.ts';
import type { Clock, DeviceState } from '../../device.ts';
import type { BusMaster } from '../../pci/bus-master.ts';
import { bytesOf, DeviceStateError, numberOf } from '../../state.ts';
import { ADDRESS_BYTES, addressCrcMsb, HEADER_BYTES, MIN_FRAME } from '../ethernet.ts';
import type { NicPort } from '../nic-port.ts';
import {
  ACTION,
  BLOCK,
  COMMAND,
  COMPLETE,
  CONFIG,
  CONFIG_BYTES,
  COUNTER,
  CU,
  CU_COMMAND,
  DEFAULT_CONFIG,
  FLEXIBLE,
  FRAMES,
  LOOPBACK,
  OK,
  OPTIONS,
  STAT,
  TCB,
} from './registers.ts';
import type { Counters } from './statistics.ts';

/** The work of one batch: about as much as moving this many bytes. */
const BATCH_WORK = 2 ** 20;
/** The cost of a block, and of each of its buffers, besides their bytes. */
const BLOCK_WORK = 4096;
const BUFFER_WORK = 1024;

const BYTE_COUNT = 0x3fff;
const MAX_FRAME = BYTE_COUNT;
/** The size of a transmit buffer descriptor: an address and a size. */
const TBD_BYTES = 8;
/** The TBD array address if there is no array. */
const NO_TBD = 0xffff_ffff;
/** The number of descriptors in an extended TxCB, after its own words. */
const TBDS_INSIDE = 2;
const TBD_END_OF_LIST = 0x1_0000;
const HASH_BITS = 64;
const DUMP_BYTES = 596;
/** The offset of the individual address in the dump. */
const DUMP_ADDRESS = 39;

export type CommandParts = {
  readonly memory: BusMaster;
  readonly port: NicPort;
  readonly clock: Clock;
  readonly counters: Counters;
  /** Whether the card has the 82558's additions: extended TxCBs and counters. */
  readonly isExtended: boolean;
  readonly raise: (causes: number) => void;
  readonly deliver: (frame: Uint8Array) => void;
};

/**
 * The command unit (§6.2, §6.4.2): carries out the action commands of a list in memory, including transmit commands.
 */
export class CommandUnit {
  readonly #parts: CommandParts;
  readonly #frame = new Uint8Array(MAX_FRAME);
  readonly config = DEFAULT_CONFIG.slice();
  /** The individual address. */
  readonly address = new Uint8Array(ADDRESS_BYTES);
  /** Bit n of byte m: multicast frames whose hash is 8m+n are received. */
  readonly hash = new Uint8Array(HASH_BITS / 8);
  readonly #mac: Uint8Array;
  #state: number = CU.idle;
  #base = 0;
  /** The offset of the next block. */
  #offset = 0;
  #dumpAddress = 0;
  readonly #batches: BatchedWork;

  /** @param mac the individual address after a reset */
  constructor(parts: CommandParts, mac: Uint8Array) {
    this.#parts = parts;
    this.#mac = mac;
    this.#batches = new BatchedWork(parts.clock, () => this.#batch());
    this.reset();
  }

  get state(): number {
    return this.#state;
  }

  /** @param pointer the SCB's general pointer */
  command(code: number, pointer: number): void {
    const { memory, counters, isExtended } = this.#parts;
    switch (code) {
      case CU_COMMAND.start:
        this.#offset = pointer;
        this.#state = CU.active;
        this.work();
        return;
      case CU_COMMAND.resume:
      case CU_COMMAND.staticResume:
        if (this.#state === CU.suspended) this.#state = CU.active;
        this.work();
        return;
      case CU_COMMAND.loadDumpAddress:
        this.#dumpAddress = pointer;
        return;
      case CU_COMMAND.dumpStatistics:
      case CU_COMMAND.dumpAndResetStatistics:
        counters.dump(
          memory,
          this.#dumpAddress,
          this.config[CONFIG.options]!,
          isExtended,
          code === CU_COMMAND.dumpAndResetStatistics,
        );
        return;
      case CU_COMMAND.loadBase:
        this.#base = pointer;
        return;
    }
  }

  /** Carries out the commands of the list, in batches. */
  work(): void {
    this.#batches.run();
  }

  /** Stops the current command, and keeps the configuration. */
  stop(): void {
    this.#state = CU.idle;
    this.#offset = 0;
    this.#batches.cancel();
  }

  reset(): void {
    this.stop();
    this.#base = 0;
    this.#dumpAddress = 0;
    this.config.set(DEFAULT_CONFIG);
    this.address.set(this.#mac);
    this.hash.fill(0);
  }

  quiesce(): void {
    this.#batches.quiesce();
  }

  resume(): void {
    this.#batches.resume();
  }

  /** Writes the dump that PORT or the dump command asks for. */
  dump(address: number): void {
    const target = this.#parts.memory.writable(address, DUMP_BYTES);
    if (target === null) return;
    target.fill(0);
    target.set(this.config);
    target.set(this.address, DUMP_ADDRESS);
  }

  save(): DeviceState {
    return {
      state: this.#state,
      base: this.#base,
      offset: this.#offset,
      dumpAddress: this.#dumpAddress,
      config: this.config.slice(),
      address: this.address.slice(),
      hash: this.hash.slice(),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const unit = numberOf(state, 'state', CU.active);
    const [base, offset] = [numberOf(state, 'base', 0xffff_ffff), numberOf(state, 'offset', 0xffff_ffff)];
    const dumpAddress = numberOf(state, 'dumpAddress', 0xffff_ffff);
    for (const key of ['config', 'address', 'hash'] as const) {
      const bytes = bytesOf(state, key);
      if (bytes.length !== this[key].length) throw new DeviceStateError(key, `${this[key].length} bytes`);
      this[key].set(bytes);
    }
    this.#batches.cancel();
    this.#state = unit;
    this.#base = base;
    this.#offset = offset;
    this.#dumpAddress = dumpAddress;
  }

  /** Does a batch. @returns whether more is left */
  #batch(): boolean {
    const isMore = this.#work();
    this.#parts.port.flush();
    return isMore;
  }

  /** @returns whether a batch is done, and the list has more */
  #work(): boolean {
    const { memory, port } = this.#parts;
    let work = 0;
    while (this.#state === CU.active && memory.allowed && port.ready) {
      if (work >= BATCH_WORK) return true;
      work += BLOCK_WORK + this.#block((this.#base + this.#offset) >>> 0);
    }
    return false;
  }

  /** @returns its cost, in the unit of a batch */
  #block(at: number): number {
    const { memory, raise } = this.#parts;
    const header = memory.readU32(at + BLOCK.status);
    const link = memory.readU32(at + BLOCK.link);
    if (header === null || link === null) {
      // A list that leaves memory ends there.
      this.#end(CU.idle);
      return 0;
    }
    const command = header >>> 16;
    const work = this.#action(at, command);
    memory.writeU32(at + BLOCK.status, ((header & 0xffff_0000) | COMPLETE | OK) >>> 0);
    this.#offset = link;
    if ((command & COMMAND.interrupt) !== 0) raise(STAT.cx);
    if ((command & COMMAND.endOfList) !== 0) this.#end(CU.idle);
    else if ((command & COMMAND.suspend) !== 0) this.#end(CU.suspended);
    return work;
  }

  #end(state: number): void {
    this.#state = state;
    const onlyIdle = (this.config[CONFIG.options]! & OPTIONS.ciInterrupt) !== 0;
    if (state === CU.idle || !onlyIdle) this.#parts.raise(STAT.cna);
  }

  #action(at: number, command: number): number {
    const { memory } = this.#parts;
    switch (command & COMMAND.type) {
      case ACTION.individualAddress: {
        const address = memory.readable(at + BLOCK.data, ADDRESS_BYTES);
        if (address !== null) this.address.set(address);
        return 0;
      }
      case ACTION.configure:
        this.#configure(at + BLOCK.data);
        return 0;
      case ACTION.multicast:
        this.#setGroups(at + BLOCK.data);
        return 0;
      case ACTION.transmit:
        return this.#transmit(at, (command & FLEXIBLE) !== 0);
      case ACTION.dump:
        this.dump(memory.readU32(at + BLOCK.data) ?? 0);
        return DUMP_BYTES;
      default:
        // Microcode is accepted: it only changes how interrupts are coalesced. Diagnose always succeeds.
        return 0;
    }
  }

  /** The number of bytes is in byte 0. */
  #configure(at: number): void {
    const bytes = this.#parts.memory.readable(at, CONFIG_BYTES);
    if (bytes === null) return;
    const count = bytes[0]! & 0x3f;
    this.config.set(bytes.subarray(0, Math.min(count, CONFIG_BYTES)));
  }

  #setGroups(at: number): void {
    const { memory } = this.#parts;
    const length = (memory.readU32(at) ?? 0) & BYTE_COUNT;
    const addresses = memory.readable(at + 2, length - (length % ADDRESS_BYTES));
    if (addresses === null) return;
    this.hash.fill(0);
    for (let offset = 0; offset < addresses.length; offset += ADDRESS_BYTES) {
      const hash = groupHash(addresses.subarray(offset, offset + ADDRESS_BYTES));
      this.hash[hash >> 3]! |= 1 << (hash & 7);
    }
  }

  #transmit(at: number, isFlexible: boolean): number {
    const { memory, port, counters, deliver } = this.#parts;
    const count = memory.readU32(at + TCB.count) ?? 0;
    const array = memory.readU32(at + TCB.tbdArray) ?? NO_TBD;
    let size = this.#gather(at + TCB.data, count & BYTE_COUNT, 0);
    if (isFlexible && array !== NO_TBD) size = this.#gatherBuffers(at, array, count >>> 24, size);
    if (size < HEADER_BYTES || size > MAX_FRAME) {
      port.transmitError();
      return BUFFER_WORK * (count >>> 24);
    }
    if (size < MIN_FRAME && (this.config[CONFIG.frames]! & FRAMES.padding) !== 0) {
      this.#frame.fill(0, size, MIN_FRAME);
      size = MIN_FRAME;
    }
    const frame = this.#frame.subarray(0, size);
    counters.count(COUNTER.transmitGood);
    if ((this.config[CONFIG.loopback]! & LOOPBACK) !== 0) deliver(frame.slice());
    else port.sendMore(frame);
    return size + BUFFER_WORK * (count >>> 24);
  }

  /**
   * Reads transmit buffer descriptors: in an extended TxCB some follow the command's own words, and the others are in
   * the array.
   */
  #gatherBuffers(at: number, array: number, count: number, size: number): number {
    const { memory, isExtended } = this.#parts;
    const isInside = isExtended && (this.config[CONFIG.options]! & OPTIONS.standardTcb) === 0;
    const inside = isInside ? TBDS_INSIDE : 0;
    let total = size;
    for (let index = 0; index < count && total <= MAX_FRAME; index++) {
      const descriptor =
        index < inside ? at + TCB.data + index * TBD_BYTES : array + (index - inside) * TBD_BYTES;
      const address = memory.readU32(descriptor);
      const length = memory.readU32(descriptor + 4);
      if (address === null || length === null) return 0;
      total = this.#gather(address, length & BYTE_COUNT, total);
      if ((length & TBD_END_OF_LIST) !== 0) break;
    }
    return total;
  }

  /** Appends memory to the frame. @returns its new size, which is too large if the frame is cut off or too long */
  #gather(address: number, length: number, size: number): number {
    if (length === 0) return size;
    if (size + length > MAX_FRAME) return MAX_FRAME + 1;
    const part = this.#parts.memory.readable(address, length);
    if (part === null) return MAX_FRAME + 1;
    this.#frame.set(part, size);
    return size + length;
  }
}

/** The index of a multicast address in the hash table: bits 7 to 2 of its CRC. */
export function groupHash(address: Uint8Array): number {
  return (addressCrcMsb(address) >>> 2) & (HASH_BITS - 1);
}
