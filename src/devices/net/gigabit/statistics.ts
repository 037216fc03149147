import { FCS_BYTES, isBroadcast, isMulticast } from '../ethernet.ts';
import { word } from './registers.ts';

/**
 * Statistics registers (§13.7), which are cleared by a read and stop at their maximum. 64-bit registers are listed by
 * their lower word.
 */
export const STATISTIC = {
  MPC: word(0x4010),
  PRC64: word(0x405c),
  GPRC: word(0x4074),
  BPRC: word(0x4078),
  MPRC: word(0x407c),
  GPTC: word(0x4080),
  GORC: word(0x4088),
  GOTC: word(0x4090),
  RNBC: word(0x40a0),
  ROC: word(0x40ac),
  TOR: word(0x40c0),
  TOT: word(0x40c8),
  TPR: word(0x40d0),
  TPT: word(0x40d4),
  PTC64: word(0x40d8),
  MPTC: word(0x40f0),
  BPTC: word(0x40f4),
  TSCTC: word(0x40f8),
  TSCTFC: word(0x40fc),
} as const;

const FIRST = word(0x4000);

/** 64-bit registers are cleared when their upper half is read. */
const LOWER_HALVES: ReadonlySet<number> = new Set([
  STATISTIC.GORC,
  STATISTIC.GOTC,
  STATISTIC.TOR,
  STATISTIC.TOT,
]);

/**
 * Upper bounds of the length classes, with the FCS: each has a register, and the next register counts longer frames.
 */
const LENGTHS = [64, 127, 255, 511, 1023] as const;

/** The statistics among the words of a card's registers. */
export class Statistics {
  readonly #words: Uint32Array;
  readonly #last: number;

  /** @param last the register of the last one */
  constructor(words: Uint32Array, last: number) {
    this.#words = words;
    this.#last = last;
  }

  /** Reads one of the registers, which may clear it; null for other registers. */
  read(register: number): number | null {
    if (register < FIRST || register > this.#last) return null;
    const words = this.#words;
    const value = words[register]!;
    if (LOWER_HALVES.has(register)) return value;
    words[register] = 0;
    if (LOWER_HALVES.has(register - 1)) words[register - 1] = 0;
    return value;
  }

  count(register: number, amount = 1): void {
    const words = this.#words;
    words[register] = Math.min(words[register]! + amount, 0xffff_ffff);
  }

  /** A frame, without its FCS, has arrived. @param good it passed the filters, and was written to memory */
  received(frame: Uint8Array, good: boolean): void {
    const bytes = frame.length + FCS_BYTES;
    this.count(STATISTIC.TPR);
    this.#countBytes(STATISTIC.TOR, bytes);
    if (!good) return;
    this.count(STATISTIC.GPRC);
    this.#countBytes(STATISTIC.GORC, bytes);
    this.count(STATISTIC.PRC64 + classOf(bytes));
    if (isMulticast(frame)) this.count(isBroadcast(frame) ? STATISTIC.BPRC : STATISTIC.MPRC);
  }

  sent(frame: Uint8Array): void {
    const bytes = frame.length + FCS_BYTES;
    this.count(STATISTIC.TPT);
    this.#countBytes(STATISTIC.TOT, bytes);
    this.count(STATISTIC.GPTC);
    this.#countBytes(STATISTIC.GOTC, bytes);
    this.count(STATISTIC.PTC64 + classOf(bytes));
    if (isMulticast(frame)) this.count(isBroadcast(frame) ? STATISTIC.BPTC : STATISTIC.MPTC);
  }

  #countBytes(register: number, bytes: number): void {
    const words = this.#words;
    const sum = words[register]! + bytes;
    words[register] = sum >>> 0;
    if (sum > 0xffff_ffff) words[register + 1]! += 1;
  }
}

function classOf(bytes: number): number {
  const index = LENGTHS.findIndex(limit => bytes <= limit);
  return index < 0 ? LENGTHS.length : index;
}
