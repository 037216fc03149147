import type { DeviceState } from '../../device.ts';
import { numberOf } from '../../state.ts';
import type { AtaDrive, CommandRegisters, ResultRegisters } from '../ata/ata-drive.ts';
import { DEVICE, REG, STATUS } from './registers.ts';

/**
 * Registers that keep the previous value when a new one is written, for 48-bit commands (ATA/ATAPI-6 §6.20): features,
 * count and LBA.
 */
const PAIRED = [REG.error, REG.count, REG.lbaLow, REG.lbaMid, REG.lbaHigh] as const;
const REGISTERS = 8;
const BYTE = 2 ** 8;
const LOW = 2 ** 24;

/**
 * One of the two drives of a channel with its registers; without a drive they only store what the host wrote to both.
 */
export class IdeUnit {
  drive: AtaDrive | null = null;
  status = 0;
  error = 0;
  readonly #isSecond: boolean;
  readonly #current = new Uint8Array(REGISTERS);
  readonly #previous = new Uint8Array(REGISTERS);

  constructor(isSecond: boolean) {
    this.#isSecond = isSecond;
  }

  get device(): number {
    return this.#current[REG.device]!;
  }

  /** @param highOrder the previous value of a register that has one */
  read(register: number, highOrder: boolean): number {
    if (register === REG.error) return this.error;
    return (highOrder && register !== REG.device ? this.#previous : this.#current)[register]!;
  }

  write(register: number, value: number): void {
    this.#previous[register] = this.#current[register]!;
    this.#current[register] = value;
  }

  /** Sets the interrupt reason of PACKET. */
  setReason(reason: number): void {
    this.#current[REG.count] = reason;
  }

  /** The same, and the byte count of the block for the host to move. */
  setPacketData(reason: number, bytes: number): void {
    this.setReason(reason);
    this.#current[REG.lbaMid] = bytes & 0xff;
    this.#current[REG.lbaHigh] = (bytes >>> 8) & 0xff;
  }

  /** A command with the current registers. */
  command(command: number): CommandRegisters {
    const pair = (register: number) => this.#current[register]! + this.#previous[register]! * BYTE;
    const low = (from: Uint8Array) =>
      from[REG.lbaLow]! + from[REG.lbaMid]! * BYTE + from[REG.lbaHigh]! * BYTE * BYTE;
    return {
      command,
      features: pair(REG.error),
      count: pair(REG.count),
      lba: low(this.#current) + low(this.#previous) * LOW,
      device: this.device,
    };
  }

  /** Sets the registers to the results of a command; the selection of a drive stays. */
  accept({ error, count, lba, device }: Omit<ResultRegisters, 'status'>): void {
    this.error = error;
    this.#set(REG.count, count % BYTE, Math.floor(count / BYTE) % BYTE);
    const at = (shift: number) => Math.floor(lba / 2 ** shift) % BYTE;
    this.#set(REG.lbaLow, at(0), at(24));
    this.#set(REG.lbaMid, at(8), at(32));
    this.#set(REG.lbaHigh, at(16), at(40));
    this.#current[REG.device] = (device & ~DEVICE.second) | (this.device & DEVICE.second);
  }

  #set(register: number, current: number, previous: number): void {
    this.#current[register] = current;
    this.#previous[register] = previous;
  }

  /** After power-on or a reset: shows the signature of the drive, which packet drives do without being ready. */
  identify(): void {
    this.#previous.fill(0);
    this.#current.fill(0);
    this.error = 0;
    this.status = 0;
    if (this.drive === null) return;
    this.accept(this.drive.signature);
    this.#current[REG.device] = 0;
    if (this.drive.kind === 'disk') this.status = STATUS.ready | STATUS.seekComplete;
  }

  save(): DeviceState {
    const state: DeviceState = { status: this.status, error: this.error, device: this.device };
    for (const register of PAIRED) {
      state[`register${register}`] = this.#current[register]!;
      state[`previous${register}`] = this.#previous[register]!;
    }
    return state;
  }

  load(state: DeviceState): void {
    this.status = numberOf(state, 'status', 0xff);
    this.error = numberOf(state, 'error', 0xff);
    this.#current[REG.device] = numberOf(state, 'device', 0xff);
    for (const register of PAIRED) {
      this.#current[register] = numberOf(state, `register${register}`, 0xff);
      this.#previous[register] = numberOf(state, `previous${register}`, 0xff);
    }
  }

  get isSecond(): boolean {
    return this.#isSecond;
  }
}
