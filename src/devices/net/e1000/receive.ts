import type { BusMaster } from '../../pci/bus-master.ts';
import {
  ADDRESS_BYTES,
  FCS_BYTES,
  frameCheck,
  HEADER_BYTES,
  isBroadcast,
  isMulticast,
  MIN_FRAME,
  VLAN_BYTES,
} from '../ethernet.ts';
import type { Arrival } from '../nic-port.ts';
import type { Interrupts } from './interrupts.ts';
import { AV, CAUSE, CTRL, RCTL, RECEIVE_ADDRESSES, REG } from './registers.ts';
import { STATISTIC, type Statistics } from './statistics.ts';

const DESCRIPTOR_BYTES = 16;
/** Status and special of a receive descriptor (§3.2.3). IXSM: checksums were not verified. */
const STATUS = { DD: 1 << 0, EOP: 1 << 1, IXSM: 1 << 2, VP: 1 << 3, PIF: 1 << 7 } as const;

/** Longest frames without FCS: with LPE, and without. */
const MAX_LONG = 16_384 - FCS_BYTES;
const MAX_SHORT = 1522 - FCS_BYTES;

/** How the 12 bits of a multicast hash are extracted from the last two bytes of an address, by RCTL.MO. */
const HASH_SHIFTS = [4, 3, 2, 0] as const;

export type ReceiveParts = {
  readonly words: Uint32Array;
  readonly memory: BusMaster;
  readonly interrupts: Interrupts;
  readonly statistics: Statistics;
};

/** The receive ring and its filters (§3.2, §9.1, §13.4.22, §13.5). */
export class Receive {
  readonly #parts: ReceiveParts;
  readonly #frame = new Uint8Array(MAX_LONG + VLAN_BYTES + FCS_BYTES);
  readonly #view = new DataView(this.#frame.buffer);

  constructor(parts: ReceiveParts) {
    this.#parts = parts;
  }

  /** Receives a frame. */
  receive(frame: Uint8Array): Arrival {
    const { words, memory, statistics } = this.#parts;
    const control = words[REG.RCTL]!;
    if ((control & RCTL.EN) === 0 || !memory.allowed || frame.length < HEADER_BYTES) return 'dropped';
    const tag = this.#tagOf(frame);
    const match = this.#filter(frame, control);
    const isLong = frame.length > ((control & RCTL.LPE) === 0 ? MAX_SHORT : MAX_LONG);
    if (match === null || isLong || !this.#isOfVlan(tag, control)) {
      statistics.received(frame, false);
      if (match !== null && isLong) statistics.count(STATISTIC.ROC);
      return 'dropped';
    }
    const strips = tag !== null && (words[REG.CTRL]! & CTRL.VME) !== 0;
    const length = this.#prepare(frame, strips, (control & RCTL.SECRC) === 0);
    const arrival = this.#store(length, {
      status: STATUS.IXSM | (strips ? STATUS.VP : 0) | (match === 'inexact' ? STATUS.PIF : 0),
      special: strips ? tag : 0,
    });
    if (arrival === 'full') statistics.count(STATISTIC.RNBC);
    else statistics.received(frame, arrival === 'taken');
    return arrival;
  }

  /** The kind of the card's address that a frame is for; null if it is for none. */
  addressed(frame: Uint8Array): 'own' | 'multicast' | 'broadcast' | null {
    if (frame.length < HEADER_BYTES) return null;
    if (isBroadcast(frame)) return 'broadcast';
    if (this.#isOwn(frame)) return 'own';
    if (!isMulticast(frame)) return null;
    const control = this.#parts.words[REG.RCTL]!;
    return (control & RCTL.MPE) !== 0 || this.#isHashed(frame, control) ? 'multicast' : null;
  }

  /** Whether the frame passes the address filters, and whether only by a hash. Null if it does not. */
  #filter(frame: Uint8Array, control: number): 'exact' | 'inexact' | null {
    if (this.#isOwn(frame)) return 'exact';
    if (!isMulticast(frame)) return (control & RCTL.UPE) !== 0 ? 'exact' : null;
    if (isBroadcast(frame) && (control & RCTL.BAM) !== 0) return 'exact';
    if ((control & RCTL.MPE) !== 0) return 'exact';
    return this.#isHashed(frame, control) ? 'inexact' : null;
  }

  /** Whether RAL and RAH match. */
  #isOwn(frame: Uint8Array): boolean {
    const { words } = this.#parts;
    const low = (frame[0]! | (frame[1]! << 8) | (frame[2]! << 16) | (frame[3]! << 24)) >>> 0;
    const high = frame[4]! | (frame[5]! << 8);
    for (let index = 0; index < RECEIVE_ADDRESSES; index++) {
      const at = REG.RAL + 2 * index;
      if (words[at] === low && words[at + 1]! >= AV && (words[at + 1]! & 0xffff) === high) return true;
    }
    return false;
  }

  #isHashed(frame: Uint8Array, control: number): boolean {
    const shift = HASH_SHIFTS[(control >>> RCTL.offsetShift) & 3]!;
    const hash = ((frame[4]! | (frame[5]! << 8)) >> shift) & 0xfff;
    return ((this.#parts.words[REG.MTA + (hash >> 5)]! >>> (hash & 31)) & 1) !== 0;
  }

  /** The tag of a frame; null if it has none. */
  #tagOf(frame: Uint8Array): number | null {
    const at = 2 * ADDRESS_BYTES;
    const type = (frame[at]! << 8) | frame[at + 1]!;
    if (type !== this.#parts.words[REG.VET] || frame.length < HEADER_BYTES + VLAN_BYTES) return null;
    return (frame[at + 2]! << 8) | frame[at + 3]!;
  }

  #isOfVlan(tag: number | null, control: number): boolean {
    if (tag === null || (control & RCTL.VFE) === 0) return true;
    const cfi = (tag & 0x1000) !== 0;
    if ((control & RCTL.CFIEN) !== 0 && cfi !== ((control & RCTL.CFI) !== 0)) return false;
    const vlan = tag & 0xfff;
    return ((this.#parts.words[REG.VFTA + (vlan >> 5)]! >>> (vlan & 31)) & 1) !== 0;
  }

  /** Copies the frame to `#frame` as it will be written to memory. @returns its length */
  #prepare(frame: Uint8Array, strips: boolean, withCheck: boolean): number {
    const bytes = this.#frame;
    let length = frame.length;
    if (strips) {
      const at = 2 * ADDRESS_BYTES;
      bytes.set(frame.subarray(0, at));
      bytes.set(frame.subarray(at + VLAN_BYTES), at);
      length -= VLAN_BYTES;
    } else bytes.set(frame);
    if (length < MIN_FRAME) {
      bytes.fill(0, length, MIN_FRAME);
      length = MIN_FRAME;
    }
    if (!withCheck) return length;
    this.#view.setUint32(length, frameCheck(bytes.subarray(0, length)), true);
    return length + FCS_BYTES;
  }

  #store(
    length: number,
    { status, special }: { readonly status: number; readonly special: number },
  ): Arrival {
    const { words, memory } = this.#parts;
    const count = words[REG.RDLEN]! / DESCRIPTOR_BYTES;
    const size = bufferSize(words[REG.RCTL]!);
    const needed = Math.ceil(length / size);
    let head = words[REG.RDH]!;
    const tail = words[REG.RDT]!;
    if (head >= count || tail >= count) return 'full';
    // One descriptor always stays free, since a ring whose head equals its tail is empty.
    if (needed > count - 1) return 'dropped';
    const free = (tail - head + count) % count;
    if (free < needed) return 'full';
    const base = words[REG.RDBAH]! * 2 ** 32 + words[REG.RDBAL]!;
    let arrival: Arrival = 'taken';
    for (let at = 0; at < length; at += size) {
      const descriptor = base + head * DESCRIPTOR_BYTES;
      const part = Math.min(size, length - at);
      const isLast = at + size >= length;
      if (!this.#write(descriptor, at, part)) arrival = 'dropped';
      memory.writeU32(descriptor + 8, part);
      const bits = status | STATUS.DD | (isLast ? STATUS.EOP : 0);
      memory.writeU32(descriptor + 12, ((special << 16) | bits) >>> 0);
      head = head + 1 < count ? head + 1 : 0;
    }
    words[REG.RDH] = head;
    this.#signal(free, free - needed, count);
    return arrival;
  }

  /** Copies a part of the frame to the buffer of a descriptor; a descriptor without a buffer is skipped. */
  #write(descriptor: number, at: number, length: number): boolean {
    const { memory } = this.#parts;
    const low = memory.readU32(descriptor);
    const high = memory.readU32(descriptor + 4);
    if (low === null || high === null) return false;
    if (low === 0 && high === 0) return true;
    const buffer = memory.writable(high * 2 ** 32 + low, length);
    buffer?.set(this.#frame.subarray(at, at + length));
    return buffer !== null;
  }

  /** Raises RXT0, and RXDMT0 when the free descriptors are down to RDMTS. */
  #signal(before: number, after: number, count: number): void {
    const { words, interrupts } = this.#parts;
    const threshold = count >> (1 + ((words[REG.RCTL]! >>> RCTL.thresholdShift) & 3));
    if (before > threshold && after <= threshold) interrupts.raise(CAUSE.RXDMT0);
    interrupts.received();
  }
}

/** The buffer size of BSIZE and BSEX. */
function bufferSize(control: number): number {
  const size = (control >>> RCTL.sizeShift) & 3;
  if ((control & RCTL.BSEX) === 0) return 2048 >> size;
  // 0 is reserved.
  return size === 0 ? 2048 : 32_768 >> size;
}
