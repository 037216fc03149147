import type { AccessSize, Device, DeviceState, IoHandler } from '../device.ts';
import { bytesOf, DeviceStateError, numberOf } from '../state.ts';
import { cfiTable, WRITE_BUFFER_BITS } from './cfi-table.ts';

/** The unit of erasure: as in the flash memory of QEMU's PCs, which OVMF is made for. */
export const FLASH_BLOCK = 4096;
const WRITE_BUFFER = 2 ** WRITE_BUFFER_BITS;

/** Commands (Intel 28F640J5 datasheet §4, table 4). */
const COMMAND = {
  readArray: 0xff,
  program: 0x40,
  programToo: 0x10,
  eraseBlock: 0x20,
  clearStatus: 0x50,
  lock: 0x60,
  readStatus: 0x70,
  readIdentifier: 0x90,
  readQuery: 0x98,
  confirm: 0xd0,
  writeBuffer: 0xe8,
} as const;

/** Status register: ready; and that a program or erase sequence was invalid. */
const STATUS = { ready: 0x80, sequence: 0x30 } as const;
const IDENTIFIER = Uint8Array.of(0x89, 0x18, 0, 0);

/** What reads of the chip return, or what it waits for. */
const MODES = [
  'array',
  'status',
  'identifier',
  'query',
  'program',
  'erase',
  'lock',
  'count',
  'buffer',
] as const;
type Mode = (typeof MODES)[number];

/** The mode that a command starts; all others, unknown ones too, return to reading the contents. */
const MODE_AFTER: ReadonlyMap<number, Mode> = new Map([
  [COMMAND.program, 'program'],
  [COMMAND.programToo, 'program'],
  [COMMAND.eraseBlock, 'erase'],
  [COMMAND.lock, 'lock'],
  [COMMAND.writeBuffer, 'count'],
  [COMMAND.readStatus, 'status'],
  [COMMAND.readIdentifier, 'identifier'],
  [COMMAND.readQuery, 'query'],
]);

export type FlashOptions = {
  readonly name: string;
  /** Its contents, which only the chip changes: a multiple of `FLASH_BLOCK`. */
  readonly bytes: Uint8Array;
  /** Whether reads return the contents, which needs no exit, or the answer to a command. */
  readonly onArray: (isArray: boolean) => void;
  /** Bytes have changed. */
  readonly onChanged: (offset: number, length: number) => void;
};

/**
 * A flash memory chip with the Common Flash Interface and Intel's command set, one byte wide, like QEMU's
 * `cfi.pflash01` of a PC. A program sets bits as well as clearing them, as there.
 */
export class Flash implements Device, IoHandler {
  readonly name: string;
  readonly #options: FlashOptions;
  readonly #query: Uint8Array;
  #mode: Mode = 'array';
  #status: number = STATUS.ready;
  /** Bytes that the write buffer still expects, and the number in it. */
  #left = 0;
  #filled = 0;
  readonly #buffer = new Uint8Array(WRITE_BUFFER);
  readonly #offsets = new Uint32Array(WRITE_BUFFER);

  constructor(options: FlashOptions) {
    this.name = options.name;
    this.#options = options;
    this.#query = cfiTable(options.bytes.length, FLASH_BLOCK);
  }

  read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#byte(offset + i) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (this.#mode === 'program') {
      this.#program(offset, size, value);
      this.#to('status');
    } else if (this.#mode === 'buffer' && this.#left > 0) this.#fill(offset, size, value);
    else this.#command(offset, value & 0xff);
  }

  /** The contents stay. */
  reset(): void {
    this.#status = STATUS.ready;
    this.#left = 0;
    this.#filled = 0;
    this.#to('array');
  }

  save(): DeviceState {
    return {
      ...{ mode: MODES.indexOf(this.#mode), status: this.#status, left: this.#left },
      buffer: this.#buffer.slice(0, this.#filled),
      offsets: [...this.#offsets.subarray(0, this.#filled)],
      contents: this.#options.bytes.slice(),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const { bytes, onChanged } = this.#options;
    const mode = MODES[numberOf(state, 'mode', MODES.length - 1)]!;
    const status = numberOf(state, 'status', 0xff);
    const left = numberOf(state, 'left', WRITE_BUFFER);
    const buffer = bytesOf(state, 'buffer');
    const { offsets } = state;
    const contents = bytesOf(state, 'contents');
    if (contents.length !== bytes.length) throw new DeviceStateError('contents', `${bytes.length} bytes`);
    if (
      !Array.isArray(offsets) ||
      offsets.length !== buffer.length ||
      !offsets.every(at => typeof at === 'number' && Number.isInteger(at) && at >= 0 && at < bytes.length)
    )
      throw new DeviceStateError('offsets', 'one place in the chip for each byte of the buffer');
    if (buffer.length + left > WRITE_BUFFER) throw new DeviceStateError('left', 'room in the buffer');
    this.#status = status;
    this.#left = left;
    this.#filled = buffer.length;
    this.#buffer.set(buffer);
    this.#offsets.set(offsets as number[]);
    for (let at = 0; at < bytes.length; at += FLASH_BLOCK) {
      const block = contents.subarray(at, at + FLASH_BLOCK);
      if (Buffer.compare(block, bytes.subarray(at, at + FLASH_BLOCK)) === 0) continue;
      bytes.set(block, at);
      onChanged(at, block.length);
    }
    this.#to(mode);
  }

  #to(mode: Mode): void {
    const wasArray = this.#mode === 'array';
    this.#mode = mode;
    if (wasArray !== (mode === 'array')) this.#options.onArray(mode === 'array');
  }

  #byte(offset: number): number {
    switch (this.#mode) {
      case 'array':
        return this.#options.bytes[offset] ?? 0xff;
      case 'identifier':
        return IDENTIFIER[offset & 0xff] ?? 0;
      case 'query':
        return this.#query[offset & 0xff] ?? 0;
      default:
        return this.#status;
    }
  }

  /** The first byte of a command, or the second. */
  #command(offset: number, command: number): void {
    const { bytes, onChanged } = this.#options;
    if (this.#mode === 'erase') {
      if (command === COMMAND.confirm) {
        const start = offset - (offset % FLASH_BLOCK);
        bytes.fill(0xff, start, start + FLASH_BLOCK);
        onChanged(start, FLASH_BLOCK);
        this.#status |= STATUS.ready;
      } else this.#status |= STATUS.ready | STATUS.sequence;
      this.#to('status');
    } else if (this.#mode === 'lock') {
      // No block is ever locked.
      this.#status |= STATUS.ready;
      this.#to(command === COMMAND.readArray ? 'array' : 'status');
    } else if (this.#mode === 'count') {
      this.#left = Math.min(command + 1, WRITE_BUFFER);
      this.#filled = 0;
      this.#to('buffer');
    } else if (this.#mode === 'buffer') {
      if (command === COMMAND.confirm) this.#programBuffer();
      else this.#status |= STATUS.sequence;
      this.#status |= STATUS.ready;
      this.#filled = 0;
      this.#to('status');
    } else this.#begin(command);
  }

  #begin(command: number): void {
    // Not ready either, as in QEMU: OVMF recognizes the chip by a status of 0.
    if (command === COMMAND.clearStatus) this.#status = 0;
    if (command === COMMAND.writeBuffer) this.#status |= STATUS.ready;
    this.#to(MODE_AFTER.get(command) ?? 'array');
  }

  #program(offset: number, size: AccessSize, value: number): void {
    const { bytes, onChanged } = this.#options;
    for (let i = 0; i < size && offset + i < bytes.length; i++)
      bytes[offset + i] = (value >>> (8 * i)) & 0xff;
    onChanged(offset, Math.min(size, bytes.length - offset));
    this.#status |= STATUS.ready;
  }

  #fill(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size && this.#left > 0; i++) {
      this.#buffer[this.#filled] = (value >>> (8 * i)) & 0xff;
      this.#offsets[this.#filled] = Math.min(offset + i, this.#options.bytes.length - 1);
      this.#filled++;
      this.#left--;
    }
  }

  /** Consecutive bytes, as drivers fill the buffer, are one change. */
  #programBuffer(): void {
    const { bytes, onChanged } = this.#options;
    let start = 0;
    for (let i = 0; i < this.#filled; i++) {
      const at = this.#offsets[i]!;
      bytes[at] = this.#buffer[i]!;
      const goesOn = i + 1 < this.#filled && this.#offsets[i + 1] === at + 1;
      if (goesOn) continue;
      onChanged(this.#offsets[start]!, i + 1 - start);
      start = i + 1;
    }
  }
}
