import type { AccessSize, Device, DeviceState, IoHandler } from '../device.ts';
import { byteWide } from '../legacy/byte-wide.ts';
import { bytesOf, DeviceStateError, numberOf, stateOf } from '../state.ts';
import { Localities } from './localities.ts';
import { BUFFER_BYTES, HEADER_BYTES, sizeOf, type TpmUnit } from './tpm-unit.ts';

/** The size of the registers of one of the five localities. */
export const LOCALITY_BYTES = 0x1000;

/** Registers (TCG PC Client Platform TPM Profile 1.05 §6.5.2, FIFO interface). */
export const REG = {
  access: 0x00,
  interfaceCapability: 0x14,
  status: 0x18,
  fifo: 0x24,
  interfaceId: 0x30,
  extendedFifo: 0x80,
  deviceId: 0xf00,
  revision: 0xf04,
} as const;
const EXTENDED_FIFO_BYTES = 0x40;

/** TPM_STS (§6.5.2.5). */
export const STATUS = {
  responseRetry: 1 << 1,
  selfTestDone: 1 << 2,
  expect: 1 << 3,
  dataAvailable: 1 << 4,
  go: 1 << 5,
  commandReady: 1 << 6,
  valid: 1 << 7,
  commandCancel: 1 << 24,
  family2: 1 << 26,
} as const;

/** Interface 1.3 of a TPM 2.0, transfers of 64 bytes, and no interrupts: drivers poll. */
const CAPABILITY = (3 << 28) | (3 << 9);
/** FIFO interface with five localities, and no alternatives. */
const INTERFACE_ID = (1 << 8) | (1 << 13);
/** QEMU's vendor and device ID. */
const DEVICE_ID = 0x0001_1014;
const REVISION = 1;

/** The states of the interface and its buffer (§6.5.2.5, table of states). */
const PHASES = ['idle', 'ready', 'reception', 'execution', 'completion'] as const;
type Phase = (typeof PHASES)[number];

/** A TPM with a FIFO, as in PCs: commands are written to it and responses read from it byte by byte (TIS). */
export class TpmTis implements Device {
  readonly name: string;
  readonly #unit: TpmUnit;
  readonly #localities: Localities;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #phase: Phase = 'idle';
  /** Bytes of the command received, or of the response. */
  #length = 0;
  /** The index of the response's next byte. */
  #at = 0;
  /** The driver has requested the ready state during a command, which is aborted. */
  #readyLater = false;

  constructor(name: string, unit: TpmUnit) {
    this.name = name;
    this.#unit = unit;
    this.#localities = new Localities(() => this.#abort());
  }

  get handler(): IoHandler {
    const registers = byteWide({
      readByte: offset => this.#readByte(offset),
      writeByte: (offset, value) => this.#writeByte(offset, value),
    });
    return {
      read: (offset, size) => (isFifo(offset) ? this.#readFifo(offset, size) : registers.read(offset, size)),
      write: (offset, size, value) => {
        if (isFifo(offset)) this.#writeFifo(offset, size, value);
        else registers.write(offset, size, value);
      },
    };
  }

  reset(): void {
    this.#unit.reset();
    this.#localities.reset();
    this.#clear('idle');
    this.#readyLater = false;
  }

  quiesce(done: () => void): void {
    this.#unit.quiesce(done);
  }

  resume(): void {
    this.#unit.resume();
  }

  save(): DeviceState {
    return {
      phase: PHASES.indexOf(this.#phase),
      buffer: this.#buffer.slice(0, this.#length),
      at: this.#at,
      localities: this.#localities.save(),
      tpm: this.#unit.save(),
    };
  }

  load(state: DeviceState): void {
    const phase = PHASES[numberOf(state, 'phase', PHASES.length - 1)]!;
    const buffer = bytesOf(state, 'buffer');
    const at = numberOf(state, 'at', buffer.length);
    // A quiesced device executes nothing.
    if (phase === 'execution' || buffer.length > BUFFER_BYTES)
      throw new DeviceStateError('phase', 'possible phase');
    this.#localities.load(stateOf(state, 'localities'));
    this.#unit.load(stateOf(state, 'tpm'));
    this.#clear(phase);
    this.#buffer.set(buffer);
    this.#length = buffer.length;
    this.#at = at;
    this.#readyLater = false;
  }

  close(): void {
    this.#unit.close();
  }

  #readByte(offset: number): number {
    const locality = Math.floor(offset / LOCALITY_BYTES);
    const register = offset % LOCALITY_BYTES;
    const byteOf = (value: number) => (value >>> (8 * (register & 3))) & 0xff;
    switch (register & ~3) {
      case REG.access:
        return register === REG.access ? this.#localities.readAccess(locality) : 0xff;
      case REG.interfaceCapability:
        return byteOf(CAPABILITY);
      case REG.status:
        return this.#localities.isActive(locality) ? byteOf(this.#status) : 0xff;
      case REG.interfaceId:
        return byteOf(INTERFACE_ID);
      case REG.deviceId:
        return byteOf(DEVICE_ID);
      case REG.revision:
        return byteOf(REVISION);
      // There are no interrupts to enable.
      default:
        return register < REG.interfaceCapability ? 0 : 0xff;
    }
  }

  #writeByte(offset: number, value: number): void {
    const locality = Math.floor(offset / LOCALITY_BYTES);
    const register = offset % LOCALITY_BYTES;
    if (register === REG.access) this.#localities.writeAccess(locality, value);
    else if (!this.#localities.isActive(locality)) return;
    else if (register === REG.status) this.#command(locality, value);
    else if (register === REG.status + 3 && value & (STATUS.commandCancel >>> 24)) this.#unit.cancel();
  }

  get #status(): number {
    const left = this.#phase === 'completion' ? this.#length - this.#at : BUFFER_BYTES - this.#length;
    // A driver that reads a single byte of the count must not see zero.
    const burst = left >= 0x100 ? left | 0xff : left;
    const shown = this.#phase === 'execution' || this.#phase === 'idle' ? 0 : Math.min(burst, 0xffff) << 8;
    return (STATUS.family2 | STATUS.selfTestDone | shown | this.#flags) >>> 0;
  }

  get #flags(): number {
    const { valid, commandReady, expect, dataAvailable } = STATUS;
    if (this.#phase === 'ready') return valid | commandReady;
    if (this.#phase === 'reception') return valid | (this.#expectsMore ? expect : 0);
    if (this.#phase === 'completion') return valid | (this.#at < this.#length ? dataAvailable : 0);
    return valid;
  }

  get #expectsMore(): boolean {
    const size = sizeOf(this.#buffer, this.#length);
    return this.#length < BUFFER_BYTES && (size === null || this.#length < size);
  }

  #command(locality: number, value: number): void {
    if (value & STATUS.commandReady) this.#makeReady();
    else if (value & STATUS.go) this.#go(locality);
    else if (value & STATUS.responseRetry && this.#phase === 'completion') this.#at = 0;
  }

  #makeReady(): void {
    if (this.#phase === 'execution') {
      this.#readyLater = true;
      this.#unit.abort();
    } else if (this.#unit.isBusy) this.#readyLater = true;
    else this.#clear('ready');
  }

  #go(locality: number): void {
    const size = sizeOf(this.#buffer, this.#length);
    if (
      this.#phase !== 'reception' ||
      this.#length !== size ||
      this.#length < HEADER_BYTES ||
      this.#unit.isBusy
    )
      return;
    this.#phase = 'execution';
    this.#unit.execute(
      locality,
      this.#buffer.subarray(0, size),
      response => {
        this.#clear('completion');
        this.#buffer.set(response);
        this.#length = response.length;
      },
      () => {
        if (this.#readyLater) this.#clear('ready');
        this.#readyLater = false;
      },
    );
  }

  /** Another locality takes over. */
  #abort(): void {
    if (this.#phase === 'execution') this.#unit.abort();
    this.#clear('idle');
  }

  #readFifo(offset: number, size: AccessSize): number {
    let value = 0;
    for (let byte = 0; byte < size; byte++) value += this.#nextByte(offset) * 2 ** (8 * byte);
    return value;
  }

  #nextByte(offset: number): number {
    const isActive = this.#localities.isActive(Math.floor(offset / LOCALITY_BYTES));
    if (!isActive || this.#phase !== 'completion' || this.#at === this.#length) return 0xff;
    return this.#buffer[this.#at++]!;
  }

  #writeFifo(offset: number, size: AccessSize, value: number): void {
    if (!this.#localities.isActive(Math.floor(offset / LOCALITY_BYTES))) return;
    for (let byte = 0; byte < size; byte++) {
      if (this.#phase === 'ready') this.#phase = 'reception';
      if (this.#phase !== 'reception' || !this.#expectsMore) return;
      this.#buffer[this.#length++] = (value >>> (8 * byte)) & 0xff;
    }
  }

  #clear(phase: Phase): void {
    this.#phase = phase;
    this.#length = 0;
    this.#at = 0;
  }
}

function isFifo(offset: number): boolean {
  const register = offset % LOCALITY_BYTES;
  return (
    (register & ~3) === REG.fifo ||
    (register >= REG.extendedFifo && register < REG.extendedFifo + EXTENDED_FIFO_BYTES)
  );
}
