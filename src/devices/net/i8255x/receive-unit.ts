import type { DeviceState } from '../../device.ts';
import type { BusMaster } from '../../pci/bus-master.ts';
import { DeviceStateError, numberOf } from '../../state.ts';
import {
  FCS_BYTES,
  frameCheck,
  HEADER_BYTES,
  isBroadcast,
  isFor,
  isMulticast,
  MAX_FRAME,
  MIN_FRAME,
} from '../ethernet.ts';
import type { Arrival, NicPort } from '../nic-port.ts';
import { type CommandUnit, groupHash } from './command-unit.ts';
import {
  ALL_MULTICAST,
  BLOCK,
  COMMAND,
  COMPLETE,
  CONFIG,
  COUNTER,
  FILTER,
  FRAMES,
  OK,
  RFD,
  RFD_STATUS,
  RU,
  RU_COMMAND,
  STAT,
} from './registers.ts';
import type { Counters } from './statistics.ts';

/** Actual count: end of frame, and the count is valid. */
const EOF_AND_F = 0xc000;
const SIZE_MASK = 0x3fff;
/** The most that a descriptor can hold. */
const MAX_LONG = SIZE_MASK - FCS_BYTES;
/** Types are larger than this, lengths are not. */
const MAX_LENGTH = 1500;
const STATES: readonly number[] = Object.values(RU);

export type ReceiveParts = {
  readonly memory: BusMaster;
  readonly port: NicPort;
  readonly counters: Counters;
  readonly commands: CommandUnit;
  readonly raise: (causes: number) => void;
};

/** The receive unit (§6.4.3): puts frames into receive frame descriptors (RFDs), each followed by its data. */
export class ReceiveUnit {
  readonly #parts: ReceiveParts;
  readonly #frame = new Uint8Array(MAX_LONG + FCS_BYTES);
  readonly #view = new DataView(this.#frame.buffer);
  #state: number = RU.idle;
  #base = 0;
  /** The offset of the next descriptor. */
  #offset = 0;

  constructor(parts: ReceiveParts) {
    this.#parts = parts;
  }

  get state(): number {
    return this.#state;
  }

  command(code: number, pointer: number): void {
    switch (code) {
      case RU_COMMAND.start:
        this.#offset = pointer;
        this.#state = RU.ready;
        break;
      case RU_COMMAND.resume:
        if (this.#state === RU.suspended) this.#state = RU.ready;
        break;
      case RU_COMMAND.abort:
        this.#state = RU.idle;
        this.#parts.raise(STAT.rnr);
        break;
      case RU_COMMAND.loadBase:
        this.#base = pointer;
        return;
      default:
        return;
    }
    this.#parts.port.roomAgain();
  }

  stop(): void {
    this.#state = RU.idle;
    this.#offset = 0;
  }

  reset(): void {
    this.stop();
    this.#base = 0;
  }

  /** Whether a frame passes the card's filters. */
  passes(frame: Uint8Array): boolean {
    const { config, hash, address } = this.#parts.commands;
    if (isFor(frame, address)) return true;
    const filter = config[CONFIG.filter]!;
    if ((filter & FILTER.promiscuous) !== 0) return true;
    if (!isMulticast(frame)) return false;
    if (isBroadcast(frame)) return (filter & FILTER.noBroadcast) === 0;
    if ((config[CONFIG.multicast]! & ALL_MULTICAST) !== 0) return true;
    const group = groupHash(frame);
    return (hash[group >> 3]! & (1 << (group & 7))) !== 0;
  }

  receive(frame: Uint8Array): Arrival {
    const { memory, counters, commands } = this.#parts;
    if (this.#state === RU.idle || !memory.allowed || frame.length < HEADER_BYTES) return 'dropped';
    const frames = commands.config[CONFIG.frames]!;
    const longest = (frames & FRAMES.long) === 0 ? MAX_FRAME : MAX_LONG;
    if (frame.length > longest || !this.passes(frame)) return 'dropped';
    if (this.#state !== RU.ready) {
      counters.count(COUNTER.receiveResource);
      return 'full';
    }
    const length = this.#prepare(frame, (frames & FRAMES.transferCheck) !== 0);
    const isOwn = isFor(frame, commands.address);
    const type = (frame[HEADER_BYTES - 2]! << 8) | frame[HEADER_BYTES - 1]!;
    return this.#store(length, (type > MAX_LENGTH ? RFD_STATUS.isType : 0) | (isOwn ? 0 : RFD_STATUS.notOwn));
  }

  save(): DeviceState {
    return { state: this.#state, base: this.#base, offset: this.#offset };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const unit = numberOf(state, 'state');
    if (!STATES.includes(unit)) throw new DeviceStateError('state', 'state of the receive unit');
    this.#base = numberOf(state, 'base', 0xffff_ffff);
    this.#offset = numberOf(state, 'offset', 0xffff_ffff);
    this.#state = unit;
  }

  /** Pads it, and appends the check sequence if enabled. @returns its length */
  #prepare(frame: Uint8Array, withCheck: boolean): number {
    const bytes = this.#frame;
    bytes.set(frame);
    const length = Math.max(frame.length, MIN_FRAME);
    bytes.fill(0, frame.length, length);
    if (!withCheck) return length;
    this.#view.setUint32(length, frameCheck(bytes.subarray(0, length)), true);
    return length + FCS_BYTES;
  }

  #store(length: number, status: number): Arrival {
    const { memory, counters, raise } = this.#parts;
    const at = (this.#base + this.#offset) >>> 0;
    const header = memory.readU32(at + BLOCK.status);
    const link = memory.readU32(at + BLOCK.link);
    const counts = memory.readU32(at + RFD.actualCount);
    if (header === null || link === null || counts === null) {
      this.#end(RU.noResources);
      return 'full';
    }
    const command = header >>> 16;
    const room = (counts >>> 16) & SIZE_MASK;
    const isLast = (command & COMMAND.endOfList) !== 0;
    // An empty descriptor at the end only marks the end: it is not completed.
    if (isLast && room === 0) {
      this.#end(RU.noResources);
      return 'full';
    }
    const stored = Math.min(length, room);
    memory.writable(at + RFD.data, stored)?.set(this.#frame.subarray(0, stored));
    memory.writeU32(at + RFD.actualCount, ((counts & 0xffff_0000) | EOF_AND_F | stored) >>> 0);
    const result = stored < length ? RFD_STATUS.outOfSpace : OK;
    memory.writeU32(at + BLOCK.status, ((header & 0xffff_0000) | COMPLETE | result | status) >>> 0);
    this.#offset = link;
    if (stored === length) counters.count(COUNTER.receiveGood);
    raise(STAT.fr);
    if (isLast) this.#end(RU.noResources);
    else if ((command & COMMAND.suspend) !== 0) this.#end(RU.suspended);
    return stored === length ? 'taken' : 'dropped';
  }

  #end(state: number): void {
    this.#state = state;
    this.#parts.raise(STAT.rnr);
  }
}
