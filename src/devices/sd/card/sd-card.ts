import type { DeviceState } from '../../device.ts';
import { numberOf, stateOf } from '../../state.ts';
import type { Drive } from '../../storage/drive.ts';
import type { SdData, SdDevice, SdResponse } from '../sd-device.ts';
import { CardTransfer, failureOf, parseTransfer, UNLIMITED } from './card-transfer.ts';
import { Programming } from './programming.ts';
import {
  APPLICATION,
  type CardIdentity,
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
import { initialState, parseVolatileState } from './volatile-state.ts';

/** SEND_IF_COND: 2.7 V to 3.6 V. */
const INTERFACE_VOLTAGE = 1;
const WIDE = 2;

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
  #now = initialState();
  readonly #transfer: CardTransfer;
  onReady: (() => void) | null = null;

  constructor({ drive, identity }: SdCardOptions) {
    this.name = drive.name;
    this.product = identity.product;
    this.#drive = drive;
    this.#size = capacityOf(drive.disk?.size ?? 0);
    this.#identity = identity;
    this.#programming = new Programming(() => drive.port, {
      failed: error => {
        this.#now.errors |= failureOf(error);
      },
      done: () => this.#programmed(),
    });
    this.#transfer = new CardTransfer(drive, {
      size: () => this.#size,
      failed: errors => {
        this.#now.errors |= errors;
      },
      ended: () => this.#transferred(),
    });
  }

  get isWriteProtected(): boolean {
    return this.#drive.medium?.readonly === true;
  }

  get isBusy(): boolean {
    return this.#now.state === STATE.program;
  }

  get data(): SdData | null {
    if (this.#now.state !== STATE.data && this.#now.state !== STATE.receive) return null;
    return {
      direction: this.#now.state === STATE.data ? 'in' : 'out',
      blockLength: this.#transfer.unit,
      blocks: this.#transfer.left,
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
    if (this.#now.state === STATE.inactive) return null;
    const isApplication = this.#now.isApplication;
    this.#now.isApplication = false;
    const count = this.#now.blockCount;
    this.#now.blockCount = 0;
    const answer = isApplication ? this.#applicationCommand(index, argument) : undefined;
    return answer === undefined ? this.#command(index, argument, count) : answer;
  }

  read(blocks: number, done: (bytes: Uint8Array | null) => void): void {
    if (this.#now.state === STATE.data) this.#transfer.read(blocks, done);
    else done(null);
  }

  write(bytes: Uint8Array, done: (isTaken: boolean) => void): void {
    if (this.#now.state === STATE.receive) this.#transfer.write(bytes, done);
    else done(false);
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
      ...this.#now,
      errors: this.#now.errors >>> 0,
      ...this.#transfer.save(),
    };
  }

  load(saved: DeviceState): void {
    const size = numberOf(saved, 'size', this.#drive.disk?.size ?? 0);
    const now = parseVolatileState(saved, size);
    const transfer = parseTransfer(saved, size);
    const programming = stateOf(saved, 'programming');
    const isProgramming = now.state === STATE.program || now.state === STATE.disconnect;
    this.#programming.check(programming, size, isProgramming);
    this.#drive.load(stateOf(saved, 'drive'));
    this.#programming.load(programming);
    this.#transfer.load(transfer, now.state === STATE.data);
    this.#size = size;
    this.#now = now;
  }

  close(): void {
    this.#transfer.forget();
    this.#programming.forget();
    this.#drive.close();
  }

  get #hasHighCapacity(): boolean {
    return this.#size > MAX_STANDARD;
  }

  #goIdle(): void {
    this.#now = initialState();
    this.#transfer.reset();
  }

  /** Cancels pending disk requests without continuing afterward. */
  #stop(): void {
    this.#programming.forget();
    this.#transfer.cancel();
  }

  /** @param count the block count that SET_BLOCK_COUNT set right before; 0 if it did not */
  #command(index: number, argument: number, count: number): SdResponse | null {
    const isMine = argument >>> 16 === this.#now.address;
    switch (index) {
      case COMMAND.goIdle:
        this.#stop();
        this.#goIdle();
        return null;
      case COMMAND.sendInterface:
        if (this.#now.state !== STATE.idle) return this.#illegal();
        if (((argument >>> 8) & 0xf) !== INTERFACE_VOLTAGE) return null;
        this.#now.hasInterface = true;
        return short(argument & 0xfff);
      case COMMAND.allSendCid:
        if (this.#now.state !== STATE.ready) return this.#illegal();
        this.#now.state = STATE.ident;
        return this.#identification();
      case COMMAND.sendRelativeAddress:
        return this.#sendRelativeAddress();
      case COMMAND.select:
        return this.#select(isMine);
      case COMMAND.sendCsd:
      case COMMAND.sendCid:
        if (this.#now.state !== STATE.standby) return this.#illegal();
        if (!isMine) return null;
        return index === COMMAND.sendCid
          ? this.#identification()
          : long(cardSpecificData(this.#size, this.isWriteProtected, this.#now.isHighSpeed));
      case COMMAND.stop:
        return this.#stopTransmission();
      case COMMAND.sendStatus:
        if (this.#now.state < STATE.standby) return this.#illegal();
        return isMine ? this.#status() : null;
      case COMMAND.goInactive:
        if (this.#now.state < STATE.standby) return this.#illegal();
        if (!isMine) return null;
        this.#stop();
        this.#now.state = STATE.inactive;
        return null;
      case COMMAND.application:
        if (this.#now.state >= STATE.standby ? !isMine : argument >>> 16 !== 0) return null;
        if (this.#now.state === STATE.ready || this.#now.state === STATE.ident) return this.#illegal();
        this.#now.isApplication = true;
        return this.#status();
      default:
        return this.#now.state === STATE.transfer
          ? this.#transferCommand(index, argument, count)
          : this.#illegal();
    }
  }

  /** A command to a card that is selected and idle. */
  #transferCommand(index: number, argument: number, count: number): SdResponse | null {
    switch (index) {
      case COMMAND.switchFunction: {
        const { status, isHighSpeed } = switchFunctions(argument, this.#now.isHighSpeed);
        this.#now.isHighSpeed = isHighSpeed;
        return this.#sendBytes(status, 0);
      }
      case COMMAND.setBlockLength:
        if (argument === 0 || argument > SECTOR) return this.#status(STATUS.blockLengthError);
        if (!this.#hasHighCapacity) this.#transfer.blockLength = argument;
        return this.#status();
      case COMMAND.setBlockCount: {
        const response = this.#status();
        this.#now.blockCount = argument;
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
        this.#now.eraseStart = at;
        this.#now.eraseEnd = null;
        return this.#status(at === null ? STATUS.outOfRange : 0);
      }
      case COMMAND.eraseEnd: {
        if (this.#now.eraseStart === null) return this.#status(STATUS.eraseSequenceError);
        const at = this.#offsetOf(argument, SECTOR);
        this.#now.eraseEnd = at;
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
      if (this.#now.state !== STATE.idle && this.#now.state !== STATE.ready) return this.#illegal();
      return this.#operatingConditions(argument);
    }
    const known: readonly number[] = Object.values(APPLICATION);
    if (!known.includes(index)) return undefined;
    if (this.#now.state !== STATE.transfer) return this.#illegal();
    switch (index) {
      case APPLICATION.setBusWidth:
        this.#now.isWide = (argument & 3) === WIDE;
        return this.#status(STATUS.applicationCommand);
      case APPLICATION.sdStatus:
        return this.#sendBytes(sdStatus(this.#now.isWide, this.#canDiscard));
      case APPLICATION.writtenBlocks: {
        const bytes = new Uint8Array(4);
        new DataView(bytes.buffer).setUint32(0, this.#transfer.written);
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
      this.#now.state = STATE.inactive;
      return short(OCR.voltages);
    }
    if (isHigh && !(this.#now.hasInterface && argument & HOST_HIGH_CAPACITY)) return short(OCR.voltages);
    this.#now.state = STATE.ready;
    return short((OCR.ready | (isHigh ? OCR.highCapacity : 0) | OCR.voltages) >>> 0);
  }

  /** R6 contains the upper status bits that fit (§4.9.5). */
  #sendRelativeAddress(): SdResponse | null {
    if (this.#now.state !== STATE.ident && this.#now.state !== STATE.standby) return this.#illegal();
    const { value } = this.#status();
    this.#now.state = STATE.standby;
    // Any address but 0 and the previous one.
    this.#now.address = this.#now.address === 0xffff ? 1 : this.#now.address + 1;
    const errors = ((value >>> 8) & 0xc000) | ((value >>> 6) & 0x2000);
    return short(((this.#now.address << 16) | errors | (value & 0x1fff)) >>> 0);
  }

  /** SELECT/DESELECT_CARD: any other address deselects. */
  #select(isMine: boolean): SdResponse | null {
    if (isMine && this.#now.address !== 0) {
      if (this.#now.state !== STATE.standby && this.#now.state !== STATE.disconnect) return this.#illegal();
      const response = this.#status();
      this.#now.state = this.#now.state === STATE.standby ? STATE.transfer : STATE.program;
      return response;
    }
    if (this.#now.state === STATE.transfer || this.#now.state === STATE.data) {
      this.#endTransfer();
      this.#now.state = STATE.standby;
    } else if (this.#now.state === STATE.program) {
      this.#now.state = STATE.disconnect;
      this.onReady?.();
    } else if (this.#now.state < STATE.standby) return this.#illegal();
    return null;
  }

  #stopTransmission(): SdResponse | null {
    if (this.#now.state !== STATE.data && this.#now.state !== STATE.receive) return this.#illegal();
    const response = this.#status();
    const hasWritten = this.#now.state === STATE.receive;
    this.#endTransfer();
    if (hasWritten) this.#program(null);
    else this.#now.state = STATE.transfer;
    return response;
  }

  #begin(state: typeof STATE.data | typeof STATE.receive, argument: number, blocks: number): SdResponse {
    const isWrite = state === STATE.receive;
    if (isWrite && this.#transfer.blockLength !== SECTOR) return this.#status(STATUS.blockLengthError);
    const offset = this.#offsetOf(argument, this.#transfer.blockLength);
    if (offset === null) return this.#status(STATUS.outOfRange);
    if ((offset % SECTOR) + this.#transfer.blockLength > SECTOR) return this.#status(STATUS.addressError);
    if (isWrite && this.isWriteProtected) return this.#status(STATUS.writeProtectViolation);
    const response = this.#status();
    this.#now.state = state;
    if (isWrite) this.#transfer.beginWrite(offset, blocks);
    else this.#transfer.beginRead(offset, blocks);
    return response;
  }

  /** The offset of a block; null if it is not on the card. */
  #offsetOf(argument: number, length: number): number | null {
    const offset = this.#hasHighCapacity ? argument * SECTOR : argument;
    return offset + length <= this.#size ? offset : null;
  }

  /** CMD38 (§4.3.5). */
  #erase(argument: number): SdResponse {
    const [start, end] = [this.#now.eraseStart, this.#now.eraseEnd];
    this.#now.eraseStart = null;
    this.#now.eraseEnd = null;
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
    this.#now.state = STATE.data;
    this.#transfer.beginRegister(bytes);
    return response;
  }

  /** Ends the transfer. */
  #endTransfer(): void {
    this.#transfer.end();
    this.#stop();
  }

  /** The host has sent or received all blocks. */
  #transferred(): void {
    if (this.#now.state === STATE.receive) this.#program(null);
    else this.#now.state = STATE.transfer;
  }

  #program(erased: Parameters<Programming['begin']>[0]): void {
    this.#now.state = STATE.program;
    this.#transfer.end();
    this.#programming.begin(erased);
  }

  #programmed(): void {
    const wasSelected = this.#now.state === STATE.program;
    this.#now.state = wasSelected ? STATE.transfer : STATE.standby;
    if (wasSelected) this.onReady?.();
  }

  #identification(): SdResponse {
    return long(cardIdentification(this.#identity));
  }

  /** R1: the state before the command, and errors that have not been reported. */
  #status(bits = 0): SdResponse & { kind: 'short' } {
    const application = this.#now.isApplication ? STATUS.applicationCommand : 0;
    const ready = this.#now.state === STATE.program ? 0 : STATUS.readyForData;
    const value = this.#now.errors | bits | application | ready | (this.#now.state << STATUS.stateShift);
    this.#now.errors = 0;
    return { kind: 'short', value: value >>> 0 };
  }

  /** The command is illegal, in this state or at all: there is no response, and the next one reports it. */
  #illegal(): null {
    this.#now.errors |= STATUS.illegalCommand;
    return null;
  }
}

const short = (value: number): SdResponse => ({ kind: 'short', value: value >>> 0 });
const long = (bytes: Uint8Array): SdResponse => ({ kind: 'long', bytes });
