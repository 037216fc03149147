import type { DiskPortError } from '../../backends/disk-port.ts';
import type { DeviceState } from '../../device.ts';
import { numberOf } from '../../state.ts';
import type { Drive } from '../../storage/drive.ts';
import { SECTOR, STATUS } from './registers.ts';

/** The block count of a transfer that lasts until the host stops it. */
export const UNLIMITED = 2 ** 32 - 1;

export type TransferCard = {
  /** Bytes of the card. */
  size(): number;
  /** @param errors bits of STATUS */
  failed(errors: number): void;
  /** All blocks were transferred. */
  ended(): void;
};

/** A saved transfer that has been checked. */
export type SavedTransfer = {
  readonly blockLength: number;
  readonly offset: number;
  readonly left: number;
  readonly written: number;
  readonly bytes: Uint8Array | null;
};

/** The data of a command: blocks of the disk, or the contents of a register. */
export class CardTransfer {
  readonly #drive: Drive;
  readonly #card: TransferCard;
  /** SET_BLOCKLEN. */
  blockLength = SECTOR;
  /** The offset on the disk of the next byte. */
  #offset = 0;
  /** Blocks that are left; `UNLIMITED`, or 0 if there is no transfer. */
  #left = 0;
  /** Register contents to be sent to the host, in place of disk contents. */
  #bytes: Uint8Array | null = null;
  /** The number of blocks of the last write. */
  #written = 0;
  #generation = 0;

  constructor(drive: Drive, card: TransferCard) {
    this.#drive = drive;
    this.#card = card;
  }

  /** Bytes of a block of the present transfer. */
  get unit(): number {
    return this.#bytes?.length ?? this.blockLength;
  }

  /** Blocks that are left; null if the host has to stop the transfer. */
  get left(): number | null {
    return this.#left === UNLIMITED ? null : this.#left;
  }

  get written(): number {
    return this.#written;
  }

  beginRead(offset: number, blocks: number): void {
    this.#offset = offset;
    this.#left = blocks;
  }

  beginWrite(offset: number, blocks: number): void {
    this.beginRead(offset, blocks);
    this.#written = 0;
  }

  beginRegister(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#left = 1;
  }

  read(blocks: number, done: (bytes: Uint8Array | null) => void): void {
    const bytes = this.#bytes;
    if (bytes === null) {
      this.#readDisk(Math.min(blocks, this.#left), done);
      return;
    }
    this.#finish();
    done(bytes);
  }

  write(bytes: Uint8Array, done: (isTaken: boolean) => void): void {
    const { port } = this.#drive;
    const blocks = bytes.length / SECTOR;
    if (port === null || blocks > this.#left) {
      done(false);
      return;
    }
    if (this.#offset + bytes.length > this.#card.size()) {
      this.#card.failed(STATUS.outOfRange);
      done(false);
      return;
    }
    const generation = this.#generation;
    port.writeFrom(this.#offset, bytes, error => {
      if (generation !== this.#generation) return;
      if (error !== null) {
        this.#card.failed(failureOf(error));
        done(false);
        return;
      }
      this.#offset += bytes.length;
      this.#written += blocks;
      this.#transferred(blocks);
      done(true);
    });
  }

  /** Afterward, there is no transfer. */
  end(): void {
    this.#bytes = null;
    this.#left = 0;
  }

  /** Cancels pending disk requests without continuing afterward. */
  cancel(): void {
    this.forget();
    this.#drive.port?.cancel(() => {});
  }

  /** Ignores the results of pending disk requests. */
  forget(): void {
    this.#generation++;
  }

  /** As after power-on. */
  reset(): void {
    this.end();
    this.blockLength = SECTOR;
    this.#offset = 0;
    this.#written = 0;
  }

  save(): DeviceState {
    return {
      blockLength: this.blockLength,
      offset: this.#offset,
      left: this.#left,
      bytes: this.#bytes?.slice() ?? null,
      written: this.#written,
    };
  }

  /** @param isReading whether the card sends data */
  load({ blockLength, offset, left, written, bytes }: SavedTransfer, isReading: boolean): void {
    this.forget();
    this.blockLength = blockLength;
    this.#offset = offset;
    this.#left = left;
    this.#written = written;
    this.#bytes = isReading ? bytes : null;
  }

  #readDisk(blocks: number, done: (bytes: Uint8Array | null) => void): void {
    const { port } = this.#drive;
    const length = this.blockLength;
    const count = Math.min(blocks, Math.floor((this.#card.size() - this.#offset) / length));
    if (port === null || count <= 0) {
      this.#card.failed(STATUS.outOfRange);
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
        this.#card.failed(failureOf(error));
        done(null);
        return;
      }
      this.#offset += count * length;
      this.#transferred(count);
      done(bytes.subarray(skipped, skipped + count * length));
    });
  }

  #transferred(blocks: number): void {
    if (this.#left !== UNLIMITED) this.#left -= blocks;
    if (this.#left === 0) this.#finish();
  }

  #finish(): void {
    this.end();
    this.#card.ended();
  }
}

/** The saved one of a card of `size` bytes. @throws DeviceStateError */
export function parseTransfer(saved: DeviceState, size: number): SavedTransfer {
  const { bytes } = saved;
  return {
    blockLength: Math.max(1, numberOf(saved, 'blockLength', SECTOR)),
    offset: numberOf(saved, 'offset', size),
    left: numberOf(saved, 'left', UNLIMITED),
    written: numberOf(saved, 'written'),
    bytes: bytes instanceof Uint8Array && bytes.length > 0 ? bytes.slice(0, SECTOR) : null,
  };
}

/** The bits of STATUS for an error of the disk. */
export function failureOf(error: DiskPortError): number {
  return error === 'readonly'
    ? STATUS.writeProtectViolation
    : error === 'range'
      ? STATUS.outOfRange
      : STATUS.error;
}
