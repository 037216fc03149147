import { ADDRESS_BYTES, FCS_BYTES, frameCheck, HEADER_BYTES, MIN_FRAME, VLAN_BYTES } from '../ethernet.ts';
import type { Arrival } from '../nic-port.ts';
import { DESCRIPTOR_STATUS, type ReceivedFrame } from './descriptors.ts';
import type { FrameFilter } from './frame-filter.ts';
import type { ReceiveRing } from './receive-ring.ts';
import { CTRL, RCTL, REG } from './registers.ts';
import { STATISTIC, type Statistics } from './statistics.ts';

/** Longest frames without FCS: with LPE, and without. */
const MAX_LONG = 16_384 - FCS_BYTES;
const MAX_SHORT = 1522 - FCS_BYTES;

export type ReceiveParts = {
  readonly words: Uint32Array;
  readonly filter: FrameFilter;
  readonly statistics: Statistics;
  /** Whether the card can access memory. */
  readonly memoryAllowed: () => boolean;
  /** The ring of a frame, of which this fills in what its descriptors say. */
  readonly ringOf: (frame: ReceivedFrame) => ReceiveRing;
};

/** Receives frames: filters, tags, padding and check sequences (§3.2, §13.4.22). */
export class Receive {
  readonly #parts: ReceiveParts;
  readonly #bytes = new Uint8Array(MAX_LONG + VLAN_BYTES + FCS_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor(parts: ReceiveParts) {
    this.#parts = parts;
  }

  receive(frame: Uint8Array): Arrival {
    const { words, filter, statistics, memoryAllowed, ringOf } = this.#parts;
    const control = words[REG.RCTL]!;
    if ((control & RCTL.EN) === 0 || !memoryAllowed() || frame.length < HEADER_BYTES) return 'dropped';
    const tag = filter.tagOf(frame);
    const match = filter.match(frame);
    const isLong = frame.length > ((control & RCTL.LPE) === 0 ? MAX_SHORT : MAX_LONG);
    if (match === null || isLong || !filter.passes(tag)) {
      statistics.received(frame, false);
      if (match !== null && isLong) statistics.count(STATISTIC.ROC);
      return 'dropped';
    }
    const strips = tag !== null && (words[REG.CTRL]! & CTRL.VME) !== 0;
    const { IXSM, VP, PIF } = DESCRIPTOR_STATUS;
    const received: ReceivedFrame = {
      bytes: this.#prepare(frame, strips, (control & RCTL.SECRC) === 0),
      status: IXSM | (strips ? VP : 0) | (match === 'inexact' ? PIF : 0),
      tag: strips ? tag : 0,
      hashType: 0,
      hash: 0,
      queue: 0,
    };
    const arrival = ringOf(received).store(received);
    if (arrival === 'full') statistics.count(STATISTIC.RNBC);
    else statistics.received(frame, arrival === 'taken');
    return arrival;
  }

  /** Copies the frame as it will be written to memory. */
  #prepare(frame: Uint8Array, strips: boolean, withCheck: boolean): Uint8Array {
    const bytes = this.#bytes;
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
    if (!withCheck) return bytes.subarray(0, length);
    this.#view.setUint32(length, frameCheck(bytes.subarray(0, length)), true);
    return bytes.subarray(0, length + FCS_BYTES);
  }
}
