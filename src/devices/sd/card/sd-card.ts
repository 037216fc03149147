import type { DiskPortError } from '../../backends/disk-port.ts';
import type { DeviceState } from '../../device.ts';
import { booleanOf, numberOf, stateOf } from '../../state.ts';
import type { Drive } from '../../storage/drive.ts';
import type { SdData, SdDevice, SdResponse } from '../sd-device.ts';
import { Programming } from './programming.ts';
import {
  APPLICATION,
  type CardIdentity,
  type CardState,
  COMMAND,
  capacityOf,
  cardIdentification,
  cardSpecificData,
  configuration,
  ERASE,
  HOST_HIGH_CAPACITY,
  MAX_STANDARD,
  OCR,
  SECTOR,
  STATE,
  STATUS,
  sdStatus,
  switchFunctions,
  VOLTAGE_WINDOW,
} from './registers.ts';

const MAX_32 = 2 ** 32 - 1;
/** SEND_IF_COND: 2.7 V to 3.6 V. */
const INTERFACE_VOLTAGE = 1;
const WIDE = 2;

/** The block count of a transfer that lasts until the host stops it. */
const UNLIMITED = MAX_32;

export type SdCardOptions = { readonly drive: Drive; readonly identity: CardIdentity };

/**
 * An SD memory card: identification, states, and the commands of its classes (SD Physical Layer Simplified
 * Specification 6.00 §4). Up to 2 GiB it has standard capacity, and addresses are bytes; beyond, they are blocks. It
 * has no cache: data is durable once the card is no longer busy.
 */
export class SdCard implements SdDevice {
  readonly name: string;
  readonly product: string;
  readonly #drive: Drive;
  readonly #identity: CardIdentity;
  readonly #programming: Programming;
  /** Bytes of the card, as of power-on. */
  #size = 0;
  #state: CardState = STATE.idle;
  /** Relative card address; 0 if none is assigned yet. */
  #address = 0;
  /** Whether the next command is an application command. */
  #isApplication = false;
  /** Errors that no response has reported. */
  #errors = 0;
  #hasInterface = false;
  #isWide = false;
  #isHighSpeed = false;
  #blockLength = SECTOR;
  /** SET_BLOCK_COUNT: the blocks of the next transfer; 0 if not set. */
  #blockCount = 0;
  /** The offset on the disk of a transfer's next byte. */
  #offset = 0;
  /** Blocks of the transfer that are left; `UNLIMITED`, or 0 if there is no transfer. */
  #left = 0;
  /** Register contents to be sent to the host, in place of disk contents. */
  #bytes: Uint8Array | null = null;
  /** The number of blocks of the last write. */
  #written = 0;
  #eraseStart: number | null = null;
  #eraseEnd: number | null = null;
  #generation = 0;
  onReady: (() => void) | null = null;

  constructor({ drive, identity }: SdCardOptions) {
    this.name = drive.name;
    this.product = identity.product;
    this.#drive = drive;
    this.#size = capacityOf(drive.disk?.size ?? 0);
    this.#identity = identity;
    this.#programming = new Programming(() => drive.port, {
      failed: error => {
        this.#errors |= failureOf(error);
      },
      done: () => this.#programmed(),
    });
  }

  get isWriteProtected(): boolean {
    return this.#drive.medium?.readonly === true;
  }

  get isBusy(): boolean {
    return this.#state === STATE.program;
  }

  get data(): SdData | null {
    if (this.#state !== STATE.data && this.#state !== STATE.receive) return null;
    return {
      direction: this.#state === STATE.data ? 'in' : 'out',
      blockLength: this.#bytes?.length ?? this.#blockLength,
      blocks: this.#left === UNLIMITED ? null : this.#left,
    };
  }

  powerOff(): void {
    this.#stop();
    this.#goIdle();
    this.#size = capacityOf(this.#drive.disk?.size ?? 0);
  }

  reset(): void {
    this.powerOff();
  }

  command(index: number, argument: number): SdResponse | null {
    if (this.#state === STATE.inactive) return null;
    const isApplication = this.#isApplication;
    this.#isApplication = false;
    const count = this.#blockCount;
    this.#blockCount = 0;
    const answer = isApplication ? this.#applicationCommand(index, argument) : undefined;
    return answer === undefined ? this.#command(index, argument, count) : answer;
  }

  read(blocks: number, done: (bytes: Uint8Array | null) => void): void {
    const bytes = this.#bytes;
    if (this.#state !== STATE.data) done(null);
    else if (bytes !== null) {
      this.#endData();
      done(bytes);
    } else this.#readDisk(Math.min(blocks, this.#left), done);
  }

  write(bytes: Uint8Array, done: (isTaken: boolean) => void): void {
    const { port } = this.#drive;
    const blocks = bytes.length / SECTOR;
    if (this.#state !== STATE.receive || port === null || blocks > this.#left) {
      done(false);
      return;
    }
    if (this.#offset + bytes.length > this.#size) {
      this.#errors |= STATUS.outOfRange;
      done(false);
      return;
    }
    const generation = this.#generation;
    port.writeFrom(this.#offset, bytes, error => {
      if (generation !== this.#generation) return;
      if (error !== null) {
        this.#errors |= failureOf(error);
        done(false);
        return;
      }
      this.#offset += bytes.length;
      this.#written += blocks;
      if (this.#left !== UNLIMITED) this.#left -= blocks;
      if (this.#left === 0) this.#program(null);
      done(true);
    });
  }

  quiesce(done: () => void): void {
    this.#drive.quiesce(done);
  }

  resume(): void {
    this.#drive.resume();
    this.#programming.resume();
  }

  save(): DeviceState {
    return {
      drive: this.#drive.save(),
      programming: this.#programming.save(),
      size: this.#size,
      state: this.#state,
      address: this.#address,
      isApplication: this.#isApplication,
      errors: this.#errors >>> 0,
      hasInterface: this.#hasInterface,
      isWide: this.#isWide,
      isHighSpeed: this.#isHighSpeed,
      blockLength: this.#blockLength,
      blockCount: this.#blockCount,
      offset: this.#offset,
      left: this.#left,
      bytes: this.#bytes?.slice() ?? null,
      written: this.#written,
      eraseStart: this.#eraseStart,
      eraseEnd: this.#eraseEnd,
    };
  }

  load(saved: DeviceState): void {
    const size = numberOf(saved, 'size', this.#drive.disk?.size ?? 0);
    const states: readonly number[] = Object.values(STATE);
    const state = states.includes(numberOf(saved, 'state')) ? (saved.state as CardState) : STATE.idle;
    const bytes =
      saved.bytes instanceof Uint8Array && saved.bytes.length > 0 ? saved.bytes.slice(0, SECTOR) : null;
    const numbers = {
      address: numberOf(saved, 'address', 0xffff),
      errors: numberOf(saved, 'errors', MAX_32),
      blockLength: Math.max(1, numberOf(saved, 'blockLength', SECTOR)),
      blockCount: numberOf(saved, 'blockCount', MAX_32),
      offset: numberOf(saved, 'offset', size),
      left: numberOf(saved, 'left', MAX_32),
      written: numberOf(saved, 'written'),
    };
    const flags = {
      isApplication: booleanOf(saved, 'isApplication'),
      hasInterface: booleanOf(saved, 'hasInterface'),
      isWide: booleanOf(saved, 'isWide'),
      isHighSpeed: booleanOf(saved, 'isHighSpeed'),
    };
    const sector = (key: string) => (saved[key] === null ? null : numberOf(saved, key, size));
    const [eraseStart, eraseEnd] = [sector('eraseStart'), sector('eraseEnd')];
    const programming = stateOf(saved, 'programming');
    this.#programming.check(programming, size, state === STATE.program || state === STATE.disconnect);
    this.#drive.load(stateOf(saved, 'drive'));
    this.#generation++;
    this.#programming.load(programming);
    this.#size = size;
    this.#state = state;
    this.#bytes = state === STATE.data ? bytes : null;
    this.#address = numbers.address;
    this.#errors = numbers.errors;
    this.#blockLength = numbers.blockLength;
    this.#blockCount = numbers.blockCount;
    this.#offset = numbers.offset;
    this.#left = numbers.left;
    this.#written = numbers.written;
    this.#isApplication = flags.isApplication;
    this.#hasInterface = flags.hasInterface;
    this.#isWide = flags.isWide;
    this.#isHighSpeed = flags.isHighSpeed;
    this.#eraseStart = eraseStart;
    this.#eraseEnd = eraseEnd;
  }

  close(): void {
    this.#generation++;
    this.#programming.forget();
    this.#drive.close();
  }

  get #hasHighCapacity(): boolean {
    return this.#size > MAX_STANDARD;
  }

  #goIdle(): void {
    this.#state = STATE.idle;
    this.#address = 0;
    this.#isApplication = false;
    this.#errors = 0;
    this.#hasInterface = false;
    this.#isWide = false;
    this.#isHighSpeed = false;
    this.#blockLength = SECTOR;
    this.#blockCount = 0;
    this.#offset = 0;
    this.#left = 0;
    this.#bytes = null;
    this.#written = 0;
    this.#eraseStart = null;
    this.#eraseEnd = null;
  }

  /** Cancels pending disk requests without continuing afterward. */
  #stop(): void {
    this.#generation++;
    this.#programming.forget();
    this.#drive.port?.cancel(() => {});
  }

  /** @param count the block count that SET_BLOCK_COUNT set right before; 0 if it did not */
  #command(index: number, argument: number, count: number): SdResponse | null {
    const isMine = argument >>> 16 === this.#address;
    switch (index) {
      case COMMAND.goIdle:
        this.#stop();
        this.#goIdle();
        return null;
      case COMMAND.sendInterface:
        if (this.#state !== STATE.idle) return this.#illegal();
        if (((argument >>> 8) & 0xf) !== INTERFACE_VOLTAGE) return null;
        this.#hasInterface = true;
        return short(argument & 0xfff);
      case COMMAND.allSendCid:
        if (this.#state !== STATE.ready) return this.#illegal();
        this.#state = STATE.ident;
        return this.#identification();
      case COMMAND.sendRelativeAddress:
        return this.#sendRelativeAddress();
      case COMMAND.select:
        return this.#select(isMine);
      case COMMAND.sendCsd:
      case COMMAND.sendCid:
        if (this.#state !== STATE.standby) return this.#illegal();
        if (!isMine) return null;
        return index === COMMAND.sendCid
          ? this.#identification()
          : long(cardSpecificData(this.#size, this.isWriteProtected, this.#isHighSpeed));
      case COMMAND.stop:
        return this.#stopTransmission();
      case COMMAND.sendStatus:
        if (this.#state < STATE.standby) return this.#illegal();
        return isMine ? this.#status() : null;
      case COMMAND.goInactive:
        if (this.#state < STATE.standby) return this.#illegal();
        if (!isMine) return null;
        this.#stop();
        this.#state = STATE.inactive;
        return null;
      case COMMAND.application:
        if (this.#state >= STATE.standby ? !isMine : argument >>> 16 !== 0) return null;
        if (this.#state === STATE.ready || this.#state === STATE.ident) return this.#illegal();
        this.#isApplication = true;
        return this.#status();
      default:
        return this.#state === STATE.transfer
          ? this.#transferCommand(index, argument, count)
          : this.#illegal();
    }
  }

  /** A command to a card that is selected and idle. */
  #transferCommand(index: number, argument: number, count: number): SdResponse | null {
    switch (index) {
      case COMMAND.switchFunction: {
        const { status, isHighSpeed } = switchFunctions(argument, this.#isHighSpeed);
        this.#isHighSpeed = isHighSpeed;
        return this.#sendBytes(status, 0);
      }
      case COMMAND.setBlockLength:
        if (argument === 0 || argument > SECTOR) return this.#status(STATUS.blockLengthError);
        if (!this.#hasHighCapacity) this.#blockLength = argument;
        return this.#status();
      case COMMAND.setBlockCount: {
        const response = this.#status();
        this.#blockCount = argument;
        return response;
      }
      case COMMAND.readSingle:
        return this.#begin(STATE.data, argument, 1);
      case COMMAND.readMultiple:
        return this.#begin(STATE.data, argument, count || UNLIMITED);
      case COMMAND.writeSingle:
        return this.#begin(STATE.receive, argument, 1);
      case COMMAND.writeMultiple:
        return this.#begin(STATE.receive, argument, count || UNLIMITED);
      case COMMAND.eraseStart: {
        const at = this.#offsetOf(argument, SECTOR);
        this.#eraseStart = at;
        this.#eraseEnd = null;
        return this.#status(at === null ? STATUS.outOfRange : 0);
      }
      case COMMAND.eraseEnd: {
        if (this.#eraseStart === null) return this.#status(STATUS.eraseSequenceError);
        const at = this.#offsetOf(argument, SECTOR);
        this.#eraseEnd = at;
        return this.#status(at === null ? STATUS.outOfRange : 0);
      }
      case COMMAND.erase:
        return this.#erase(argument);
      default:
        return this.#illegal();
    }
  }

  /** @returns undefined if it is not an application command, and is handled like any other */
  #applicationCommand(index: number, argument: number): SdResponse | null | undefined {
    if (index === APPLICATION.operatingConditions) {
      if (this.#state !== STATE.idle && this.#state !== STATE.ready) return this.#illegal();
      return this.#operatingConditions(argument);
    }
    const known: readonly number[] = Object.values(APPLICATION);
    if (!known.includes(index)) return undefined;
    if (this.#state !== STATE.transfer) return this.#illegal();
    switch (index) {
      case APPLICATION.setBusWidth:
        this.#isWide = (argument & 3) === WIDE;
        return this.#status(STATUS.applicationCommand);
      case APPLICATION.sdStatus:
        return this.#sendBytes(sdStatus(this.#isWide, this.#canDiscard));
      case APPLICATION.writtenBlocks: {
        const bytes = new Uint8Array(4);
        new DataView(bytes.buffer).setUint32(0, this.#written);
        return this.#sendBytes(bytes);
      }
      case APPLICATION.sendScr:
        return this.#sendBytes(configuration());
      default:
        // Hints: how much will be written, and a pull-up.
        return this.#status(STATUS.applicationCommand);
    }
  }

  get #canDiscard(): boolean {
    return this.#drive.disk?.canDiscard === true && !this.isWriteProtected;
  }

  /**
   * ACMD41 (§4.2.3): without a voltage window it only queries; a host without high capacity support waits for such a
   * card forever.
   */
  #operatingConditions(argument: number): SdResponse {
    const isHigh = this.#hasHighCapacity;
    if ((argument & VOLTAGE_WINDOW) === 0) return short(OCR.voltages);
    if ((argument & OCR.voltages) === 0) {
      this.#state = STATE.inactive;
      return short(OCR.voltages);
    }
    if (isHigh && !(this.#hasInterface && argument & HOST_HIGH_CAPACITY)) return short(OCR.voltages);
    this.#state = STATE.ready;
    return short((OCR.ready | (isHigh ? OCR.highCapacity : 0) | OCR.voltages) >>> 0);
  }

  /** R6 contains the upper status bits that fit (§4.9.5). */
  #sendRelativeAddress(): SdResponse | null {
    if (this.#state !== STATE.ident && this.#state !== STATE.standby) return this.#illegal();
    const { value } = this.#status();
    this.#state = STATE.standby;
    // Any address but 0 and the previous one.
    this.#address = this.#address === 0xffff ? 1 : this.#address + 1;
    const errors = ((value >>> 8) & 0xc000) | ((value >>> 6) & 0x2000);
    return short(((this.#address << 16) | errors | (value & 0x1fff)) >>> 0);
  }

  /** SELECT/DESELECT_CARD: any other address deselects. */
  #select(isMine: boolean): SdResponse | null {
    if (isMine && this.#address !== 0) {
      if (this.#state !== STATE.standby && this.#state !== STATE.disconnect) return this.#illegal();
      const response = this.#status();
      this.#state = this.#state === STATE.standby ? STATE.transfer : STATE.program;
      return response;
    }
    if (this.#state === STATE.transfer || this.#state === STATE.data) {
      this.#endTransfer();
      this.#state = STATE.standby;
    } else if (this.#state === STATE.program) {
      this.#state = STATE.disconnect;
      this.onReady?.();
    } else if (this.#state < STATE.standby) return this.#illegal();
    return null;
  }

  #stopTransmission(): SdResponse | null {
    if (this.#state !== STATE.data && this.#state !== STATE.receive) return this.#illegal();
    const response = this.#status();
    const hasWritten = this.#state === STATE.receive;
    this.#endTransfer();
    if (hasWritten) this.#program(null);
    else this.#state = STATE.transfer;
    return response;
  }

  #begin(state: typeof STATE.data | typeof STATE.receive, argument: number, blocks: number): SdResponse {
    const isWrite = state === STATE.receive;
    if (isWrite && this.#blockLength !== SECTOR) return this.#status(STATUS.blockLengthError);
    const offset = this.#offsetOf(argument, this.#blockLength);
    if (offset === null) return this.#status(STATUS.outOfRange);
    if ((offset % SECTOR) + this.#blockLength > SECTOR) return this.#status(STATUS.addressError);
    if (isWrite && this.isWriteProtected) return this.#status(STATUS.writeProtectViolation);
    const response = this.#status();
    this.#state = state;
    this.#offset = offset;
    this.#left = blocks;
    if (isWrite) this.#written = 0;
    return response;
  }

  /** The offset of a block; null if it is not on the card. */
  #offsetOf(argument: number, length: number): number | null {
    const offset = this.#hasHighCapacity ? argument * SECTOR : argument;
    return offset + length <= this.#size ? offset : null;
  }

  /** CMD38 (§4.3.5). */
  #erase(argument: number): SdResponse {
    const [start, end] = [this.#eraseStart, this.#eraseEnd];
    this.#eraseStart = null;
    this.#eraseEnd = null;
    if (start === null || end === null) return this.#status(STATUS.eraseSequenceError);
    if (start > end) return this.#status(STATUS.eraseParameter);
    if (this.isWriteProtected) return this.#status(STATUS.writeProtectViolation);
    const response = this.#status();
    const whole = (offset: number) => Math.floor(offset / SECTOR) * SECTOR;
    const isDiscarded = argument === ERASE.discard && this.#canDiscard;
    this.#program({ at: whole(start), end: whole(end) + SECTOR, isDiscarded });
    return response;
  }

  #sendBytes(bytes: Uint8Array, bits: number = STATUS.applicationCommand): SdResponse {
    const response = this.#status(bits);
    this.#state = STATE.data;
    this.#bytes = bytes;
    this.#left = 1;
    return response;
  }

  #readDisk(blocks: number, done: (bytes: Uint8Array | null) => void): void {
    const { port } = this.#drive;
    const length = this.#blockLength;
    const count = Math.min(blocks, Math.floor((this.#size - this.#offset) / length));
    if (port === null || count <= 0) {
      this.#errors |= STATUS.outOfRange;
      done(null);
      return;
    }
    const start = Math.floor(this.#offset / SECTOR) * SECTOR;
    const skipped = this.#offset - start;
    const bytes = new Uint8Array(Math.ceil((skipped + count * length) / SECTOR) * SECTOR);
    const generation = this.#generation;
    port.readInto(start, bytes, error => {
      if (generation !== this.#generation) return;
      if (error !== null) {
        this.#errors |= failureOf(error);
        done(null);
        return;
      }
      this.#offset += count * length;
      if (this.#left !== UNLIMITED) this.#left -= count;
      if (this.#left === 0) this.#endData();
      done(bytes.subarray(skipped, skipped + count * length));
    });
  }

  #endData(): void {
    this.#state = STATE.transfer;
    this.#bytes = null;
    this.#left = 0;
  }

  /** Ends the transfer. */
  #endTransfer(): void {
    this.#bytes = null;
    this.#left = 0;
    this.#stop();
  }

  #program(erased: Parameters<Programming['begin']>[0]): void {
    this.#state = STATE.program;
    this.#left = 0;
    this.#programming.begin(erased);
  }

  #programmed(): void {
    const wasSelected = this.#state === STATE.program;
    this.#state = wasSelected ? STATE.transfer : STATE.standby;
    if (wasSelected) this.onReady?.();
  }

  #identification(): SdResponse {
    return long(cardIdentification(this.#identity));
  }

  /** R1: the state before the command, and errors that have not been reported. */
  #status(bits = 0): SdResponse & { kind: 'short' } {
    const application = this.#isApplication ? STATUS.applicationCommand : 0;
    const ready = this.#state === STATE.program ? 0 : STATUS.readyForData;
    const value = this.#errors | bits | application | ready | (this.#state << STATUS.stateShift);
    this.#errors = 0;
    return { kind: 'short', value: value >>> 0 };
  }

  /** The command is illegal, in this state or at all: there is no response, and the next one reports it. */
  #illegal(): null {
    this.#errors |= STATUS.illegalCommand;
    return null;
  }
}

function failureOf(error: DiskPortError): number {
  return error === 'readonly'
    ? STATUS.writeProtectViolation
    : error === 'range'
      ? STATUS.outOfRange
      : STATUS.error;
}

const short = (value: number): SdResponse => ({ kind: 'short', value: value >>> 0 });
const long = (bytes: Uint8Array): SdResponse => ({ kind: 'long', bytes });
