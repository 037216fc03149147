import { ADDRESS_BYTES, HEADER_BYTES, isBroadcast, isMulticast, VLAN_BYTES } from '../ethernet.ts';
import { AV, RCTL, RECEIVE_ADDRESSES, REG } from './registers.ts';

/** How the 12 bits of a multicast hash are extracted from the last two bytes of an address, by RCTL.MO. */
const HASH_SHIFTS = [4, 3, 2, 0] as const;

/** The filters of received frames, by their addresses and VLAN (§9.1, §13.4.22, §13.5). */
export class FrameFilter {
  readonly #words: Uint32Array;

  constructor(words: Uint32Array) {
    this.#words = words;
  }

  /** The kind of the card's address that a frame is for; null if it is for none. */
  addressed(frame: Uint8Array): 'own' | 'multicast' | 'broadcast' | null {
    if (frame.length < HEADER_BYTES) return null;
    if (isBroadcast(frame)) return 'broadcast';
    if (this.#isOwn(frame)) return 'own';
    if (!isMulticast(frame)) return null;
    const control = this.#words[REG.RCTL]!;
    return (control & RCTL.MPE) !== 0 || this.#isHashed(frame, control) ? 'multicast' : null;
  }

  /** Whether the frame passes the address filters, and whether only by a hash. Null if it does not. */
  match(frame: Uint8Array): 'exact' | 'inexact' | null {
    const control = this.#words[REG.RCTL]!;
    if (this.#isOwn(frame)) return 'exact';
    if (!isMulticast(frame)) return (control & RCTL.UPE) !== 0 ? 'exact' : null;
    if (isBroadcast(frame) && (control & RCTL.BAM) !== 0) return 'exact';
    if ((control & RCTL.MPE) !== 0) return 'exact';
    return this.#isHashed(frame, control) ? 'inexact' : null;
  }

  /** The tag of a frame; null if it has none. */
  tagOf(frame: Uint8Array): number | null {
    const at = 2 * ADDRESS_BYTES;
    const type = (frame[at]! << 8) | frame[at + 1]!;
    if (type !== this.#words[REG.VET] || frame.length < HEADER_BYTES + VLAN_BYTES) return null;
    return (frame[at + 2]! << 8) | frame[at + 3]!;
  }

  /** Whether frames with this tag pass. */
  passes(tag: number | null): boolean {
    const control = this.#words[REG.RCTL]!;
    if (tag === null || (control & RCTL.VFE) === 0) return true;
    const cfi = (tag & 0x1000) !== 0;
    if ((control & RCTL.CFIEN) !== 0 && cfi !== ((control & RCTL.CFI) !== 0)) return false;
    const vlan = tag & 0xfff;
    return ((this.#words[REG.VFTA + (vlan >> 5)]! >>> (vlan & 31)) & 1) !== 0;
  }

  /** Whether RAL and RAH match. */
  #isOwn(frame: Uint8Array): boolean {
    const words = this.#words;
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
    return ((this.#words[REG.MTA + (hash >> 5)]! >>> (hash & 31)) & 1) !== 0;
  }
}
