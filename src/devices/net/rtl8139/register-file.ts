import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError } from '../../state.ts';
import {
  CONFIG1,
  CPCR,
  CPLUS_BANK,
  CPLUS_BANKED,
  CR,
  CR9346,
  ISR,
  ISR_BITS,
  LOCKED,
  MODE,
  REG,
  TCR,
  TPPOLL,
  TSD,
  TSD_COUNT,
  WRITABLE,
} from './registers.ts';

const BYTES = CPLUS_BANK + CPLUS_BANKED.end;

const writable = masks(WRITABLE);
const locked = masks(LOCKED);
const writableWords = new DataView(writable.buffer);

function masks(registers: typeof WRITABLE): Uint8Array {
  const bits = new Uint8Array(BYTES);
  for (const [offset, bytes, mask] of registers)
    for (let i = 0; i < bytes; i++) bits[offset + i] = mask >>> (8 * i);
  return bits;
}

/** The registers' contents as read by the driver, and the bits that it may change. */
export class RegisterFile {
  readonly #values = new Uint8Array(BYTES);
  readonly #view = new DataView(this.#values.buffer);

  constructor() {
    this.reset();
  }

  /** C+ mode: descriptors in place of the four registers and the ring buffer. */
  get isCplus(): boolean {
    return (this.#values[REG.cpcr]! & (CPCR.transmit | CPCR.receive)) !== 0;
  }

  get transmits(): boolean {
    return (this.#values[REG.cr]! & CR.transmit) !== 0;
  }

  get receives(): boolean {
    return (this.#values[REG.cr]! & CR.receive) !== 0;
  }

  get interrupts(): boolean {
    return (this.u16(REG.isr) & this.u16(REG.imr)) !== 0;
  }

  /** The index of the byte at `offset`. */
  indexOf(offset: number): number {
    const isBanked = offset >= CPLUS_BANKED.start && offset < CPLUS_BANKED.end;
    return isBanked && this.isCplus ? offset + CPLUS_BANK : offset;
  }

  /** Handles a byte that the driver writes. */
  write(index: number, value: number): void {
    const isUnlocked = (this.#values[REG.cr9346]! & CR9346.mode) === MODE.configure;
    const mask = isUnlocked ? writable[index]! | locked[index]! : writable[index]!;
    this.#values[index] = (this.#values[index]! & ~mask) | (value & mask);
  }

  /** Handles the four bytes of a register of `CPLUS_BANKED`, which CR9346 does not protect, written together. */
  writeBankedWord(index: number, value: number): void {
    const mask = writableWords.getUint32(index, true);
    this.setU32(index, ((this.u32(index) & ~mask) | (value & mask)) >>> 0);
  }

  u8(offset: number): number {
    return this.#values[offset]!;
  }

  u16(offset: number): number {
    return this.#view.getUint16(offset, true);
  }

  u32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  /** A 64-bit guest-physical address; one beyond 2^53 is inexact, but not memory either. */
  address(offset: number): number {
    return this.u32(offset) + this.u32(offset + 4) * 2 ** 32;
  }

  bytes(offset: number, length: number): Uint8Array {
    return this.#values.subarray(offset, offset + length);
  }

  setU8(offset: number, value: number): void {
    this.#values[offset] = value;
  }

  setU16(offset: number, value: number): void {
    this.#view.setUint16(offset, value, true);
  }

  setU32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
  }

  setBytes(offset: number, bytes: Uint8Array): void {
    this.#values.set(bytes, offset);
  }

  /** A reset by the command register keeps addresses and configuration (section 6.6). */
  softReset(): void {
    const kept = [this.bytes(REG.idr, 16).slice(), this.bytes(REG.cr9346, 4).slice()] as const;
    const [config3, config5] = [this.bytes(REG.config3, 2).slice(), this.u8(REG.config5)];
    this.reset();
    this.setBytes(REG.idr, kept[0]);
    this.setBytes(REG.cr9346, kept[1]);
    this.setBytes(REG.config3, config3);
    this.setU8(REG.config5, config5);
  }

  reset(): void {
    this.#values.fill(0);
    for (let index = 0; index < TSD_COUNT; index++) this.setU32(REG.tsd + 4 * index, TSD.own);
    this.setU16(REG.capr, 0xfff0);
    this.setU32(REG.tcr, TCR.version);
    this.setU8(REG.config1, CONFIG1.power | CONFIG1.memoryMapped | CONFIG1.portMapped);
  }

  save(): DeviceState {
    return { values: this.#values.slice() };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const values = bytesOf(state, 'values');
    if (values.length !== BYTES) throw new DeviceStateError('values', `registers of ${BYTES} bytes`);
    this.reset();
    for (let at = 0; at < BYTES; at++) {
      const mask = writable[at]! | locked[at]!;
      this.#values[at] = (this.#values[at]! & ~mask) | (values[at]! & mask);
    }
    const saved = new DataView(values.buffer, values.byteOffset, values.length);
    for (let index = 0; index < TSD_COUNT; index++) {
      const at = REG.tsd + 4 * index;
      this.setU32(at, saved.getUint32(at, true) & (TSD.writable | TSD.ok | TSD.aborted));
    }
    this.setU8(REG.tppoll, saved.getUint8(REG.tppoll) & (TPPOLL.high | TPPOLL.normal));
    this.setU16(REG.isr, saved.getUint16(REG.isr, true) & ISR_BITS);
    this.setU16(REG.cbr, saved.getUint16(REG.cbr, true));
    this.setU32(REG.mpc, saved.getUint32(REG.mpc, true) & 0x00ff_ffff);
  }
}

/** The interrupt bits for received and for transmitted frames. */
export const RECEIVE_BITS = ISR.receiveOk | ISR.receiveError | ISR.receiveOverflow;
