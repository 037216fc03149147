import type { BusMaster } from '../../pci/bus-master.ts';
import type { Arrival } from '../nic-port.ts';
import { type DescriptorFormat, type ReceivedFrame, UNIT_BYTES } from './descriptors.ts';
import { RCTL, REG, RING } from './registers.ts';

export type ReceiveRingParts = {
  readonly words: Uint32Array;
  readonly memory: BusMaster;
  /** Its RDBAL. */
  readonly at: number;
  readonly format: () => DescriptorFormat;
  readonly interrupts: {
    /** A frame is in memory. */
    received(): void;
    /** The free descriptors are down to RCTL.RDMTS. */
    low(): void;
  };
};

/** A ring of receive descriptors (§3.2.6), whose registers count in units of 16 bytes. */
export class ReceiveRing {
  readonly #parts: ReceiveRingParts;

  constructor(parts: ReceiveRingParts) {
    this.#parts = parts;
  }

  store(frame: ReceivedFrame): Arrival {
    const { words, memory, at: ring, interrupts } = this.#parts;
    const format = this.#parts.format();
    const { units } = format;
    const { length } = frame.bytes;
    const count = words[ring + RING.LEN]! / UNIT_BYTES;
    let head = words[ring + RING.H]!;
    const tail = words[ring + RING.T]!;
    if (head >= count || tail >= count) return 'full';
    let needed = 0;
    for (let at = 0; at < length; ) {
      const room = format.room(frame, at);
      if (room === 0) return 'dropped';
      at += room;
      needed += units;
    }
    // One descriptor always stays free, since a ring whose head equals its tail is empty.
    if (needed > count - units) return 'dropped';
    const free = (tail - head + count) % count;
    if (free < needed) return 'full';
    const base = words[ring + RING.BAH]! * 2 ** 32 + words[ring + RING.BAL]!;
    let arrival: Arrival = 'taken';
    for (let at = 0; at < length; ) {
      const part = Math.min(format.room(frame, at), length - at);
      if (!format.write(memory, base + head * UNIT_BYTES, frame, at, part)) arrival = 'dropped';
      head += units;
      if (head >= count) head -= count;
      at += part;
    }
    words[ring + RING.H] = head;
    const threshold = count >> (1 + ((words[REG.RCTL]! >>> RCTL.thresholdShift) & 3));
    if (free > threshold && free - needed <= threshold) interrupts.low();
    interrupts.received();
    return arrival;
  }
}
