import type { Device, DeviceState, IoHandler } from '../device.ts';
import { byteWide } from '../legacy/byte-wide.ts';
import { booleanOf, bytesOf, DeviceStateError, stateOf } from '../state.ts';
import { HEADER_BYTES, sizeOf, type TpmUnit } from './tpm-unit.ts';

/** The address of a TPM's registers on PCs (TCG PC Client Platform TPM Profile 1.05 §6.3). */
export const TPM_BASE = 0xfed4_0000;
/** The size of the registers of the only locality of this interface. */
export const CRB_BYTES = 0x1000;

/** Registers (§6.5.3, CRB interface). */
export const CRB = {
  localityState: 0x00,
  localityControl: 0x08,
  localityStatus: 0x0c,
  interfaceId: 0x30,
  vendor: 0x34,
  request: 0x40,
  status: 0x44,
  cancel: 0x48,
  start: 0x4c,
  commandSize: 0x58,
  commandAddress: 0x5c,
  responseSize: 0x64,
  responseAddress: 0x68,
  buffer: 0x80,
} as const;
/** The start of the control area, for ACPI. */
export const CONTROL_AREA = CRB.request;

const LOCALITY_CONTROL = { requestAccess: 1, relinquish: 2 } as const;
const LOCALITY_STATE = { established: 1, assigned: 2, valid: 0x80 } as const;
const REQUEST = { commandReady: 1, goIdle: 2 } as const;
const STATUS = { error: 1, idle: 2 } as const;
/** CRB 1.0 with one locality, transfers of 64 bytes, and no alternatives. */
const INTERFACE_ID = 0x1 | (0x1 << 4) | (3 << 11) | (1 << 14) | (1 << 17);
/** QEMU's vendor ID. */
const VENDOR = 0x1014;

const BUFFER_BYTES = CRB_BYTES - CRB.buffer;

/** A TPM whose commands and responses share a buffer in memory (CRB). */
export class TpmCrb implements Device {
  readonly name: string;
  readonly #unit: TpmUnit;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #isGranted = false;
  #isIdle = true;
  #hasFailed = false;
  /** Whether a command is being carried out. */
  #isStarted = false;

  constructor(name: string, unit: TpmUnit) {
    this.name = name;
    this.#unit = unit;
  }

  get handler(): IoHandler {
    return byteWide({
      readByte: offset => {
        if (offset >= CRB.buffer) return this.#buffer[offset - CRB.buffer]!;
        return (this.#read(offset & ~3) >>> (8 * (offset & 3))) & 0xff;
      },
      writeByte: (offset, value) => {
        if (offset < CRB.buffer) this.#write(offset, value);
        else if (!this.#isStarted) this.#buffer[offset - CRB.buffer] = value;
      },
    });
  }

  reset(): void {
    this.#unit.reset();
    this.#buffer.fill(0);
    this.#isGranted = false;
    this.#isIdle = true;
    this.#hasFailed = false;
    this.#isStarted = false;
  }

  quiesce(done: () => void): void {
    this.#unit.quiesce(done);
  }

  resume(): void {
    this.#unit.resume();
  }

  save(): DeviceState {
    return {
      ...{ isGranted: this.#isGranted, isIdle: this.#isIdle, hasFailed: this.#hasFailed },
      buffer: this.#buffer.slice(),
      tpm: this.#unit.save(),
    };
  }

  load(state: DeviceState): void {
    const buffer = bytesOf(state, 'buffer');
    if (buffer.length !== BUFFER_BYTES)
      throw new DeviceStateError('buffer', `buffer of ${BUFFER_BYTES} bytes`);
    const flags = ['isGranted', 'isIdle', 'hasFailed'].map(key => booleanOf(state, key));
    this.#unit.load(stateOf(state, 'tpm'));
    [this.#isGranted, this.#isIdle, this.#hasFailed] = flags as [boolean, boolean, boolean];
    this.#buffer.set(buffer);
    this.#isStarted = false;
  }

  close(): void {
    this.#unit.close();
  }

  #read(register: number): number {
    switch (register) {
      case CRB.localityState:
        return (
          LOCALITY_STATE.valid | LOCALITY_STATE.established | (this.#isGranted ? LOCALITY_STATE.assigned : 0)
        );
      case CRB.localityStatus:
        return this.#isGranted ? 1 : 0;
      case CRB.interfaceId:
        return INTERFACE_ID;
      case CRB.vendor:
        return VENDOR;
      case CRB.status:
        return (this.#hasFailed ? STATUS.error : 0) | (this.#isIdle ? STATUS.idle : 0);
      case CRB.start:
        return this.#isStarted ? 1 : 0;
      case CRB.commandSize:
      case CRB.responseSize:
        return BUFFER_BYTES;
      case CRB.commandAddress:
      case CRB.responseAddress:
        return TPM_BASE + CRB.buffer;
      default:
        return 0;
    }
  }

  #write(register: number, value: number): void {
    switch (register) {
      case CRB.localityControl:
        if (value & LOCALITY_CONTROL.requestAccess) this.#isGranted = true;
        else if (value & LOCALITY_CONTROL.relinquish) this.#isGranted = false;
        break;
      case CRB.request:
        if (!this.#isGranted || this.#isStarted) return;
        if (value & REQUEST.commandReady) this.#isIdle = false;
        else if (value & REQUEST.goIdle) this.#isIdle = true;
        break;
      case CRB.cancel:
        if (this.#isStarted && value & 1) this.#unit.cancel();
        break;
      case CRB.start:
        if (value & 1) this.#start();
    }
  }

  #start(): void {
    if (!this.#isGranted || this.#isIdle || this.#isStarted) return;
    const size = sizeOf(this.#buffer, BUFFER_BYTES)!;
    this.#hasFailed = size < HEADER_BYTES || size > BUFFER_BYTES;
    if (this.#hasFailed) return;
    this.#isStarted = true;
    this.#unit.execute(
      0,
      this.#buffer.subarray(0, size),
      response => {
        this.#hasFailed = response.length > BUFFER_BYTES;
        this.#buffer.set(response.subarray(0, BUFFER_BYTES));
      },
      () => {
        this.#isStarted = false;
      },
    );
  }
}
