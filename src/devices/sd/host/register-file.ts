import type { AccessSize } from '../../device.ts';
import {
  AUTO_COMMAND_ERROR,
  BLOCK_GAP,
  BLOCK_SIZE,
  CAPABILITIES,
  CLOCK,
  COMMAND,
  ERROR,
  HOST_CONTROL,
  INTERRUPT,
  MAX_CURRENT,
  MODE,
  POWER,
  REG,
  REGISTER_BYTES,
  VERSION_3,
} from './registers.ts';

type Register = {
  readonly at: number;
  readonly bytes: 1 | 2 | 4;
  /** Bits that software writes. */
  readonly writable: number;
  /** Bits that the controller itself also changes. */
  readonly own?: number;
};

/**
 * The registers that a driver writes, in ascending order. The upper half of a 64-bit address is a separate register.
 */
const REGISTERS: readonly Register[] = [
  { at: REG.systemAddress, bytes: 4, writable: 0xffff_ffff },
  { at: REG.blockSize, bytes: 2, writable: BLOCK_SIZE.writable },
  { at: REG.blockCount, bytes: 2, writable: 0xffff },
  { at: REG.argument, bytes: 4, writable: 0xffff_ffff },
  { at: REG.transferMode, bytes: 2, writable: MODE.writable },
  { at: REG.command, bytes: 2, writable: COMMAND.writable },
  ...[0, 4, 8, 12].map(at => ({ at: REG.response + at, bytes: 4, writable: 0, own: 0xffff_ffff }) as const),
  { at: REG.hostControl, bytes: 1, writable: HOST_CONTROL.writable },
  { at: REG.powerControl, bytes: 1, writable: POWER.writable },
  { at: REG.blockGapControl, bytes: 1, writable: BLOCK_GAP.writable },
  { at: REG.wakeupControl, bytes: 1, writable: 0x07 },
  { at: REG.clockControl, bytes: 2, writable: CLOCK.writable, own: CLOCK.stable },
  { at: REG.timeoutControl, bytes: 1, writable: 0x0f },
  { at: REG.softwareReset, bytes: 1, writable: 0 },
  { at: REG.status, bytes: 2, writable: 0, own: INTERRUPT.enableable },
  { at: REG.errorStatus, bytes: 2, writable: 0, own: ERROR.enableable },
  { at: REG.statusEnable, bytes: 2, writable: INTERRUPT.enableable },
  { at: REG.errorStatusEnable, bytes: 2, writable: ERROR.enableable },
  { at: REG.signalEnable, bytes: 2, writable: INTERRUPT.enableable },
  { at: REG.errorSignalEnable, bytes: 2, writable: ERROR.enableable },
  { at: REG.autoCommandErrors, bytes: 2, writable: 0, own: AUTO_COMMAND_ERROR.forceable },
  { at: REG.forceAutoCommandErrors, bytes: 2, writable: 0 },
  { at: REG.forceErrors, bytes: 2, writable: 0 },
  { at: REG.admaErrors, bytes: 1, writable: 0, own: 0x07 },
  { at: REG.admaAddress, bytes: 4, writable: 0xffff_ffff },
  { at: REG.admaAddress + 4, bytes: 4, writable: 0xffff_ffff },
];

/** The values of a controller's registers, and which bits of them a driver writes. */
export class RegisterFile {
  readonly #bytes = new Uint8Array(REGISTER_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor() {
    this.reset();
  }

  reset(): void {
    this.#bytes.fill(0);
    this.set(REG.capabilities, 4, CAPABILITIES);
    this.set(REG.maxCurrent, 4, MAX_CURRENT);
    this.set(REG.version, 2, VERSION_3);
  }

  get(at: number, bytes: AccessSize): number {
    const view = this.#view;
    return bytes === 4
      ? view.getUint32(at, true)
      : bytes === 2
        ? view.getUint16(at, true)
        : view.getUint8(at);
  }

  set(at: number, bytes: AccessSize, value: number): void {
    for (let index = 0; index < bytes; index++) this.#bytes[at + index] = value >>> (8 * index);
  }

  /** The registers that a write of `size` bytes covers: the written bits, and their mask. */
  *written(
    offset: number,
    size: AccessSize,
    value: number,
  ): Generator<{ readonly at: number; readonly bits: number; readonly mask: number }> {
    for (const { at, bytes } of REGISTERS) {
      const [start, end] = [Math.max(at, offset), Math.min(at + bytes, offset + size)];
      if (start >= end) continue;
      let [bits, mask] = [0, 0];
      for (let byte = start; byte < end; byte++) {
        bits |= ((value >>> (8 * (byte - offset))) & 0xff) << (8 * (byte - at));
        mask |= 0xff << (8 * (byte - at));
      }
      yield { at, bits: bits >>> 0, mask: mask >>> 0 };
    }
  }

  /** Writes the writable bits of a register. */
  write(at: number, bits: number, mask: number): void {
    const { bytes, writable } = REGISTERS.find(register => register.at === at)!;
    const changed = writable & mask;
    this.set(at, bytes, (this.get(at, bytes) & ~changed) | (bits & changed));
  }

  /** Excludes registers that are derived from other state. */
  save(): Uint8Array {
    const saved = new RegisterFile();
    saved.load(this.#bytes);
    return saved.#bytes;
  }

  /** @param saved from `save`, but untrusted */
  load(saved: Uint8Array): void {
    const view = new DataView(saved.slice(0, REGISTER_BYTES).buffer);
    this.reset();
    for (const { at, bytes, writable, own = 0 } of REGISTERS) {
      if (at + bytes > view.byteLength) return;
      const value =
        bytes === 4 ? view.getUint32(at, true) : bytes === 2 ? view.getUint16(at, true) : view.getUint8(at);
      this.set(at, bytes, value & (writable | own));
    }
  }
}
