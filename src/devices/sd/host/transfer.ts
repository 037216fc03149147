import type { AccessSize, DeviceState } from '../../device.ts';
import type { BusMaster } from '../../pci/bus-master.ts';
import { booleanOf, bytesOf, numberOf, stateOf } from '../../state.ts';
import type { SdDevice } from '../sd-device.ts';
import { ADMA_ERROR, Adma } from './adma.ts';
import type { RegisterFile } from './register-file.ts';
import {
  BLOCK_GAP,
  BLOCK_SIZE,
  DMA,
  ERROR,
  HOST_CONTROL,
  INTERRUPT,
  MAX_BLOCK,
  MODE,
  PRESENT,
  REG,
} from './registers.ts';

/** Blocks that DMA moves at a time. */
const DMA_BLOCKS = 128;
const MAX_BUFFER = DMA_BLOCKS * MAX_BLOCK;
const SMALLEST_BOUNDARY = 4096;

const METHODS = ['port', 'sdma', 'adma'] as const;
type Method = (typeof METHODS)[number];

/** The value of `left` if blocks are not counted. */
const UNCOUNTED = 2 ** 16;

export type TransferHost = {
  readonly registers: RegisterFile;
  readonly memory: BusMaster;
  /** The card, if it responds. */
  readonly card: () => SdDevice | null;
  /** Raises normal interrupts. */
  readonly raise: (bits: number) => void;
  /** The transfer has ended with this error. */
  readonly fail: (error: number) => void;
  /** The transfer has succeeded. */
  readonly moved: () => void;
};

/**
 * The data of one command, between the card and the buffer, and between the buffer and the driver: a block at a time
 * through the buffer data port, or several by SDMA or ADMA2.
 */
export class Transfer {
  readonly #host: TransferHost;
  readonly #adma: Adma;
  #isActive = false;
  #isRead = false;
  #method: Method = 'port';
  #blockLength = 0;
  /** Blocks that the card has not sent or taken. */
  #left = 0;
  /**
   * Bytes from the card that the driver has not fully read, or from the driver that the card has not received; empty if
   * neither.
   */
  #buffer: Uint8Array = NOTHING;
  /** The number of those bytes that the driver has read or written. */
  #at = 0;
  /** Whether SDMA is at a boundary, and waits for the driver. */
  #isAtBoundary = false;
  /** Whether it has been stopped between two blocks. */
  #isInGap = false;
  /** Whether a request to the card is pending; `#generation` tells it from earlier ones. */
  #isAsked = false;
  #generation = 0;

  constructor(host: TransferHost) {
    this.#host = host;
    this.#adma = new Adma(host.memory, () => host.raise(INTERRUPT.dma));
  }

  get isActive(): boolean {
    return this.#isActive;
  }

  /** The transfer's bits of the present state register. */
  get presentState(): number {
    if (!this.#isActive) return 0;
    const direction = this.#isRead ? PRESENT.readActive : PRESENT.writeActive;
    const isReady = this.#isPortReady;
    const buffer = this.#isRead ? PRESENT.bufferReadEnable : PRESENT.bufferWriteEnable;
    return PRESENT.dataActive | direction | (isReady ? buffer : 0);
  }

  /** Begins a transfer as set by the registers, with the data that the card has or expects. */
  begin(): void {
    const { registers, card } = this.#host;
    const mode = registers.get(REG.transferMode, 2);
    this.drop();
    this.#isActive = true;
    this.#isRead = (mode & MODE.read) !== 0;
    this.#blockLength = registers.get(REG.blockSize, 2) & BLOCK_SIZE.lengthMask;
    const isMultiple = (mode & MODE.multiple) !== 0;
    const isCounted = (mode & MODE.countsBlocks) !== 0;
    this.#left = !isMultiple ? 1 : isCounted ? registers.get(REG.blockCount, 2) : UNCOUNTED;
    const dma = (registers.get(REG.hostControl, 1) & HOST_CONTROL.dmaMask) >>> HOST_CONTROL.dmaShift;
    this.#method = !(mode & MODE.dma) ? 'port' : dma === DMA.adma32 || dma === DMA.adma64 ? 'adma' : 'sdma';
    const data = card()?.data ?? null;
    if (data === null || (data.direction === 'in') !== this.#isRead) this.fail(ERROR.dataTimeout);
    else if (data.blockLength !== this.#blockLength) this.fail(ERROR.dataCrc);
    else {
      if (this.#method === 'adma') {
        const high = BigInt(registers.get(REG.admaAddress + 4, 4));
        this.#adma.start((high << 32n) | BigInt(registers.get(REG.admaAddress, 4)));
        registers.set(REG.admaErrors, 1, 0);
      }
      this.#continue();
    }
  }

  /** Drops the transfer. The result of a pending request to the card is ignored. */
  drop(): void {
    this.#generation++;
    this.#isActive = false;
    this.#isRead = false;
    this.#method = 'port';
    this.#blockLength = 0;
    this.#adma.start(0n);
    this.#left = 0;
    this.#buffer = NOTHING;
    this.#at = 0;
    this.#isAtBoundary = false;
    this.#isInGap = false;
    this.#isAsked = false;
  }

  fail(error: number): void {
    this.drop();
    this.#host.fail(error);
  }

  /** Repeats a pending request to the card after a state was loaded. */
  resume(): void {
    this.#continue();
  }

  /** SDMA continues at another address. */
  addressWritten(): void {
    this.#isAtBoundary = false;
    this.#continue();
  }

  continueAfterGap(): void {
    this.#isInGap = false;
    this.#continue();
  }

  readPort(size: AccessSize): number {
    if (!this.#isPortReady || !this.#isRead) return 0;
    let value = 0;
    for (let byte = 0; byte < size; byte++) value |= (this.#buffer[this.#at++] ?? 0) << (8 * byte);
    this.#continue();
    return value >>> 0;
  }

  writePort(size: AccessSize, value: number): void {
    if (!this.#isPortReady || this.#isRead) return;
    for (let byte = 0; byte < size && this.#at < this.#buffer.length; byte++)
      this.#buffer[this.#at++] = value >>> (8 * byte);
    this.#continue();
  }

  save(): DeviceState {
    return {
      adma: this.#adma.save(),
      isActive: this.#isActive,
      isRead: this.#isRead,
      method: METHODS.indexOf(this.#method),
      blockLength: this.#blockLength,
      left: this.#left,
      buffer: this.#buffer.slice(),
      at: this.#at,
      isAtBoundary: this.#isAtBoundary,
      isInGap: this.#isInGap,
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const [isActive, isRead] = [booleanOf(state, 'isActive'), booleanOf(state, 'isRead')];
    const [isAtBoundary, isInGap] = [booleanOf(state, 'isAtBoundary'), booleanOf(state, 'isInGap')];
    const method = METHODS[numberOf(state, 'method', METHODS.length - 1)]!;
    const blockLength = numberOf(state, 'blockLength', BLOCK_SIZE.lengthMask);
    const left = numberOf(state, 'left', UNCOUNTED);
    const buffer = bytesOf(state, 'buffer').slice(0, MAX_BUFFER);
    const at = numberOf(state, 'at', buffer.length);
    const adma = stateOf(state, 'adma');
    this.drop();
    this.#adma.load(adma);
    // A block without bytes is no block.
    this.#isActive = isActive && blockLength > 0;
    [this.#isRead, this.#method, this.#blockLength, this.#left] = [isRead, method, blockLength, left];
    [this.#buffer, this.#at, this.#isAtBoundary, this.#isInGap] = [buffer, at, isAtBoundary, isInGap];
  }

  /** Whether the driver may read or write the buffer through its port. */
  get #isPortReady(): boolean {
    const isWaiting = this.#isActive && this.#method === 'port' && !this.#isAsked && !this.#isInGap;
    return isWaiting && this.#at < this.#buffer.length;
  }

  get #isCounted(): boolean {
    return this.#left !== UNCOUNTED;
  }

  /** Does as much as possible. */
  #continue(): void {
    while (this.#isActive && !this.#isAsked && !this.#isAtBoundary && !this.#isInGap && this.#step()) {
      // Until nothing more can be done for now.
    }
  }

  /** @returns whether it made progress */
  #step(): boolean {
    if (this.#at < this.#buffer.length) return this.#method !== 'port' && this.#moveByDma();
    if (this.#buffer.length > 0 && !this.#isRead) {
      this.#give();
      return true;
    }
    this.#buffer = NOTHING;
    this.#at = 0;
    const isEnd = this.#method === 'adma' && !this.#isCounted && this.#adma.isDone;
    if (this.#left === 0 || isEnd) {
      this.drop();
      this.#host.moved();
      return false;
    }
    const gap = this.#host.registers.get(REG.blockGapControl, 1);
    if (gap & BLOCK_GAP.stop) {
      this.#isInGap = true;
      this.#host.raise(INTERRUPT.blockGap | INTERRUPT.transferComplete);
      return false;
    }
    if (this.#isRead) this.#take();
    else {
      this.#buffer = new Uint8Array(this.#nextBlocks * this.#blockLength);
      if (this.#method === 'port') this.#host.raise(INTERRUPT.bufferWriteReady);
    }
    return true;
  }

  /** The number of blocks to move between card and buffer at once. */
  get #nextBlocks(): number {
    return this.#method === 'port' || !this.#isCounted ? 1 : Math.min(this.#left, DMA_BLOCKS);
  }

  /** Blocks from the card. */
  #take(): void {
    const card = this.#host.card();
    const generation = this.#generation;
    this.#isAsked = true;
    const done = (bytes: Uint8Array | null) => {
      if (generation !== this.#generation) return;
      this.#isAsked = false;
      if (bytes === null || bytes.length === 0) {
        this.fail(ERROR.dataTimeout);
        return;
      }
      this.#buffer = bytes;
      this.#at = 0;
      this.#count(bytes.length);
      if (this.#method === 'port') this.#host.raise(INTERRUPT.bufferReadReady);
      this.#continue();
    };
    if (card === null) done(null);
    else card.read(this.#nextBlocks, done);
  }

  /** Blocks to the card. */
  #give(): void {
    const card = this.#host.card();
    const generation = this.#generation;
    this.#isAsked = true;
    const { length } = this.#buffer;
    const done = (isTaken: boolean) => {
      if (generation !== this.#generation) return;
      this.#isAsked = false;
      if (!isTaken) {
        this.fail(ERROR.dataTimeout);
        return;
      }
      this.#buffer = NOTHING;
      this.#at = 0;
      this.#count(length);
      this.#continue();
    };
    if (card === null) done(false);
    else card.write(this.#buffer, done);
  }

  #count(bytes: number): void {
    if (!this.#isCounted) return;
    this.#left = Math.max(0, this.#left - Math.ceil(bytes / this.#blockLength));
    const { registers } = this.#host;
    if (registers.get(REG.transferMode, 2) & MODE.countsBlocks) registers.set(REG.blockCount, 2, this.#left);
  }

  /** Moves data between buffer and memory. @returns whether it made progress */
  #moveByDma(): boolean {
    return this.#method === 'sdma' ? this.#moveBySdma() : this.#moveByAdma();
  }

  #moveBySdma(): boolean {
    const { registers, raise } = this.#host;
    const address = registers.get(REG.systemAddress, 4);
    const boundary = SMALLEST_BOUNDARY << (registers.get(REG.blockSize, 2) >>> BLOCK_SIZE.boundaryShift);
    const length = Math.min(this.#buffer.length - this.#at, boundary - (address % boundary));
    if (!this.#copy(address, length)) {
      this.fail(ERROR.dataTimeout);
      return false;
    }
    const next = (address + length) % 2 ** 32;
    registers.set(REG.systemAddress, 4, next);
    if (next % boundary === 0 && this.#hasMore) {
      this.#isAtBoundary = true;
      raise(INTERRUPT.dma);
    }
    return true;
  }

  /** Whether more data follows. */
  get #hasMore(): boolean {
    if (this.#at < this.#buffer.length || !this.#isCounted) return true;
    return this.#isRead ? this.#left > 0 : this.#left * this.#blockLength > this.#buffer.length;
  }

  #moveByAdma(): boolean {
    const { registers } = this.#host;
    const isWide =
      (registers.get(REG.hostControl, 1) & HOST_CONTROL.dmaMask) >>> HOST_CONTROL.dmaShift === DMA.adma64;
    const step = this.#adma.next(isWide);
    const moved = (error: number) => {
      registers.set(REG.admaAddress, 4, Number(BigInt.asUintN(32, this.#adma.address)));
      registers.set(REG.admaAddress + 4, 4, Number(BigInt.asUintN(32, this.#adma.address >> 32n)));
      if (error === 0) return true;
      registers.set(REG.admaErrors, 1, error);
      this.fail(ERROR.adma);
      return false;
    };
    if (step.kind === 'end') return moved(ADMA_ERROR.transfer | ADMA_ERROR.lengthMismatch);
    if (step.kind === 'error') return moved(step.error);
    const length = Math.min(this.#buffer.length - this.#at, step.length);
    if (!this.#copy(step.address, length)) return moved(ADMA_ERROR.transfer);
    this.#adma.moved(length);
    return moved(0);
  }

  #copy(address: number, length: number): boolean {
    const { memory } = this.#host;
    const part = this.#buffer.subarray(this.#at, this.#at + length);
    if (this.#isRead) {
      const target = memory.writable(address, length);
      if (target === null) return false;
      target.set(part);
    } else {
      const source = memory.readable(address, length);
      if (source === null) return false;
      part.set(source);
    }
    this.#at += length;
    return true;
  }
}

const NOTHING = new Uint8Array(0);
