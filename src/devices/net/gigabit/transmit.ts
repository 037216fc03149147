import { BatchedWork } from '../../batched-work.ts';
import type { Clock, DeviceState } from '../../device.ts';
import type { BusMaster } from '../../pci/bus-master.ts';
import { booleanOf, bytesOf, DeviceStateError, numberOf } from '../../state.ts';
import { HEADER_BYTES, MIN_FRAME, VLAN_BYTES } from '../ethernet.ts';
import type { NicPort } from '../nic-port.ts';
import { type Checksums, contextOf, divide, fillChecksum, fillChecksums, NO_CONTEXT } from './offload.ts';
import { CAUSE, CTRL, REG, RING, TCTL } from './registers.ts';
import { STATISTIC, type Statistics } from './statistics.ts';

const DESCRIPTOR_BYTES = 16;

/** The third word of a descriptor: CMD of a legacy one, DTYP and DCMD of the others (§3.3.3-6). */
const COMMAND = {
  EOP: 1 << 24,
  /** Legacy: insert checksum. Data: TSE. */
  IC: 1 << 26,
  TSE: 1 << 26,
  RS: 1 << 27,
  RPS: 1 << 28,
  DEXT: 1 << 29,
  VLE: 1 << 30,
  IDE: 2 ** 31,
} as const;
const TYPE_MASK = 0xf << 20;
const TYPE_DATA = 1 << 20;
/** POPTS, in the last word of a data descriptor. */
const POPTS = { IXSM: 1 << 8, TXSM: 1 << 9 } as const;
const STATUS_DD = 1;

/** An IP packet of 65,535 bytes, Ethernet's header and a VLAN tag: longer packets are not sent. */
const MAX_PACKET = 65_535 + HEADER_BYTES + VLAN_BYTES;
/** The number of descriptors in a batch. */
const BATCH_DESCRIPTORS = 512;
const BATCH_BYTES = 2 ** 20;
/** The minimum cost of a segment, in the unit of a batch. */
const SEGMENT_WORK = 1024;
const NO_CHECKSUMS: Checksums = { ip: false, transport: false };

export type TransmitParts = {
  readonly words: Uint32Array;
  readonly memory: BusMaster;
  readonly port: NicPort;
  readonly clock: Clock;
  readonly interrupts: {
    raise(causes: number): void;
    /** A descriptor has been written back. @param delayed its cause may be delayed (IDE) */
    sent(delayed: boolean): void;
  };
  readonly statistics: Statistics;
  /** Its TDBAL. */
  readonly at: number;
  /** Whether the ring is served. */
  readonly enabled: () => boolean;
  /** Whether descriptors are written back that do not ask for it. */
  readonly reportsAll?: () => boolean;
  /** Whether transmitted frames are looped back, and where to. */
  readonly loopback: () => boolean;
  readonly deliver: (frame: Uint8Array) => void;
};

/** A transmit ring (§3.3-3.5): descriptors from TDH to TDT, and the packets that they describe. */
export class Transmit {
  readonly #parts: TransmitParts;
  readonly #descriptor = new Uint32Array(DESCRIPTOR_BYTES / 4);
  /** The words of the last context descriptor. */
  #contextWords = new Uint32Array(4);
  #context = NO_CONTEXT;
  /** A packet whose last descriptor has not come yet, and the options of its first descriptor. */
  readonly #packet = new Uint8Array(MAX_PACKET);
  #size = 0;
  #isOpen = false;
  #tooLong = false;
  #divides = false;
  #checksums = NO_CHECKSUMS;
  readonly #segment = new Uint8Array(MAX_PACKET);
  readonly #tagged = new Uint8Array(MAX_PACKET + VLAN_BYTES);
  readonly #padded = new Uint8Array(MIN_FRAME);
  readonly #batches: BatchedWork;

  constructor(parts: TransmitParts) {
    this.#parts = parts;
    this.#batches = new BatchedWork(parts.clock, () => this.#batch());
  }

  /** Sends what is in the ring, in batches. */
  work(): void {
    this.#batches.run();
  }

  reset(): void {
    this.#batches.cancel();
    this.#contextWords.fill(0);
    this.#context = NO_CONTEXT;
    this.#begin();
  }

  quiesce(): void {
    this.#batches.quiesce();
  }

  resume(): void {
    this.#batches.resume();
  }

  save(): DeviceState {
    return {
      context: new Uint8Array(this.#contextWords.slice().buffer),
      packet: this.#packet.slice(0, this.#size),
      isOpen: this.#isOpen,
      tooLong: this.#tooLong,
      divides: this.#divides,
      checksums: Number(this.#checksums.ip) | (Number(this.#checksums.transport) << 1),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const [context, packet] = [bytesOf(state, 'context'), bytesOf(state, 'packet')];
    if (context.length !== DESCRIPTOR_BYTES) throw new DeviceStateError('context', 'context descriptor');
    if (packet.length > MAX_PACKET) throw new DeviceStateError('packet', 'packet');
    const [isOpen, tooLong] = [booleanOf(state, 'isOpen'), booleanOf(state, 'tooLong')];
    const divides = booleanOf(state, 'divides');
    const checksums = numberOf(state, 'checksums', 3);
    this.reset();
    new Uint8Array(this.#contextWords.buffer).set(context);
    this.#context = contextOf(this.#contextWords);
    this.#packet.set(packet);
    this.#size = packet.length;
    this.#isOpen = isOpen;
    this.#tooLong = tooLong;
    this.#divides = divides;
    this.#checksums = { ip: (checksums & 1) !== 0, transport: (checksums & 2) !== 0 };
  }

  /** Does a batch. @returns whether more is left */
  #batch(): boolean {
    const isMore = this.#work();
    this.#parts.port.flush();
    return isMore;
  }

  /** @returns whether a batch is done, and the ring has more */
  #work(): boolean {
    const { words, memory, port, interrupts, at: ring, enabled } = this.#parts;
    const base = words[ring + RING.BAH]! * 2 ** 32 + words[ring + RING.BAL]!;
    const count = words[ring + RING.LEN]! / DESCRIPTOR_BYTES;
    let bytes = 0;
    for (let done = 0; ; done++) {
      const head = words[ring + RING.H]!;
      const tail = words[ring + RING.T]!;
      // A tail outside the ring would never be reached.
      if (!enabled() || !memory.allowed || head >= count || tail >= count) return false;
      if (head === tail) {
        if (done > 0) interrupts.raise(CAUSE.TXQE);
        return false;
      }
      if (!port.ready) return false;
      if (done >= BATCH_DESCRIPTORS || bytes >= BATCH_BYTES) return true;
      bytes += this.#serve(base + head * DESCRIPTOR_BYTES);
      words[ring + RING.H] = head + 1 < count ? head + 1 : 0;
      this.#signalLow(count);
    }
  }

  /** LWTHRESH: few descriptors are left, in units of 8. */
  #signalLow(count: number): void {
    const { words, interrupts, at: ring } = this.#parts;
    const threshold = 8 * (words[ring + RING.DCTL]! >>> 25);
    if (threshold === 0) return;
    const left = (words[ring + RING.T]! - words[ring + RING.H]! + count) % count;
    if (left === threshold) interrupts.raise(CAUSE.TXD_LOW);
  }

  /** Serves a descriptor. @returns its cost, in the unit of a batch */
  #serve(address: number): number {
    const { memory, interrupts, reportsAll } = this.#parts;
    if (!memory.readWords(address, this.#descriptor)) return DESCRIPTOR_BYTES;
    const [low = 0, high = 0, command = 0, last = 0] = this.#descriptor;
    let bytes = DESCRIPTOR_BYTES;
    if ((command & (COMMAND.DEXT | TYPE_MASK)) === COMMAND.DEXT) {
      this.#contextWords.set(this.#descriptor);
      this.#context = contextOf(this.#contextWords);
    } else bytes += this.#data(high * 2 ** 32 + low, command, last);
    if ((command & (COMMAND.RS | COMMAND.RPS)) !== 0 || reportsAll?.() === true) {
      memory.writeU32(address + 12, (last | STATUS_DD) >>> 0);
      interrupts.sent((command & COMMAND.IDE) !== 0);
    }
    return bytes;
  }

  /**
   * Sends a part of a packet from a legacy or data descriptor. @returns its length, plus that of the frames that it has
   * completed
   */
  #data(address: number, command: number, last: number): number {
    const { memory } = this.#parts;
    const isExtended = (command & COMMAND.DEXT) !== 0;
    if (isExtended && (command & TYPE_MASK) !== TYPE_DATA) return 0;
    const length = command & (isExtended ? 0xf_ffff : 0xffff);
    const endsPacket = (command & COMMAND.EOP) !== 0;
    if (!this.#isOpen) {
      this.#isOpen = true;
      this.#divides = isExtended && (command & COMMAND.TSE) !== 0;
      if (isExtended) {
        this.#checksums = { ip: (last & POPTS.IXSM) !== 0, transport: (last & POPTS.TXSM) !== 0 };
      }
    }
    const tooLong = this.#size + length > MAX_PACKET;
    const part = length === 0 || tooLong ? null : memory.readable(address, length);
    if (length > 0 && part === null) this.#tooLong = true;
    if (part !== null && this.#isWhole(part, command, endsPacket)) {
      this.#begin();
      this.#send(part);
      return length;
    }
    if (part !== null) {
      this.#packet.set(part, this.#size);
      this.#size += length;
    }
    if (!endsPacket) return length;
    const packet = this.#packet.subarray(0, this.#size);
    if (!isExtended && (command & COMMAND.IC) !== 0)
      fillChecksum(packet, (last >>> 8) & 0xff, (command >>> 16) & 0xff, 0);
    const tag = (command & COMMAND.VLE) !== 0 ? last >>> 16 : null;
    const sent = this.#tooLong ? 0 : this.#complete(packet, tag);
    if (this.#tooLong) this.#parts.port.transmitError();
    this.#begin();
    return length + sent;
  }

  /** Whether a descriptor's part is a frame that is sent as it is, so that it need not be copied. */
  #isWhole(part: Uint8Array, command: number, endsPacket: boolean): boolean {
    const { ip, transport } = this.#checksums;
    const isChanged = ip || transport || this.#divides || (command & (COMMAND.IC | COMMAND.VLE)) !== 0;
    return endsPacket && this.#size === 0 && !this.#tooLong && !isChanged && part.length >= MIN_FRAME;
  }

  #begin(): void {
    this.#size = 0;
    this.#isOpen = false;
    this.#tooLong = false;
    this.#divides = false;
    this.#checksums = NO_CHECKSUMS;
  }

  #complete(packet: Uint8Array, tag: number | null): number {
    const { statistics, port } = this.#parts;
    let bytes = 0;
    if (!this.#divides) {
      fillChecksums(packet, this.#context, this.#checksums);
      this.#tag(packet, tag);
      return packet.length;
    }
    const isDivided = divide(packet, this.#context, this.#checksums, this.#segment, frame => {
      bytes += Math.max(frame.length, SEGMENT_WORK);
      this.#tag(frame, tag);
    });
    if (isDivided) statistics.count(STATISTIC.TSCTC);
    else {
      statistics.count(STATISTIC.TSCTFC);
      port.transmitError();
    }
    return bytes;
  }

  /** Sends a frame, with the tag of its descriptor while CTRL.VME is set. */
  #tag(frame: Uint8Array, tag: number | null): void {
    const { words } = this.#parts;
    if (tag === null || (words[REG.CTRL]! & CTRL.VME) === 0 || frame.length < HEADER_BYTES) {
      this.#send(frame);
      return;
    }
    const at = HEADER_BYTES - 2;
    const tagged = this.#tagged;
    tagged.set(frame.subarray(0, at));
    tagged.set([words[REG.VET]! >> 8, words[REG.VET]!, tag >> 8, tag], at);
    tagged.set(frame.subarray(at), at + VLAN_BYTES);
    this.#send(tagged.subarray(0, frame.length + VLAN_BYTES));
  }

  #send(frame: Uint8Array): void {
    const { words, port, statistics, loopback, deliver } = this.#parts;
    if (frame.length < HEADER_BYTES) {
      port.transmitError();
      return;
    }
    let sent = frame;
    if (frame.length < MIN_FRAME && (words[REG.TCTL]! & TCTL.PSP) !== 0) {
      sent = this.#padded;
      sent.fill(0).set(frame);
    }
    statistics.sent(sent);
    if (loopback()) deliver(sent);
    else port.sendMore(sent);
  }
}
