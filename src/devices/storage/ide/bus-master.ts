import type { Segment } from '../../backends/disk-port.ts';
import type { AccessSize, DeviceState } from '../../device.ts';
import type { GuestMemory } from '../../guest-memory.ts';
import { numberOf } from '../../state.ts';
import { BM_COMMAND, BM_STATUS, BUS_MASTER } from './registers.ts';

/** A physical region descriptor (§1.2): address, byte count, and an end-of-table flag. */
const DESCRIPTOR = { bytes: 8, countMask: 0xfffe, end: 0x8000_0000 } as const;
/** The maximum in a table, which is within 64 KiB. */
const MAX_DESCRIPTORS = 8192;
const FULL_COUNT = 0x1_0000;

export type BusMasterOptions = {
  readonly memory: GuestMemory;
  /** Whether the function may access memory. */
  readonly isMaster: () => boolean;
  readonly onStart: () => void;
  /** The driver polls for the end of a transfer. */
  readonly onPoll: () => void;
  /** The driver has stopped a transfer in progress. */
  readonly onStop: () => void;
};

/** The memory that the driver's table provides for a transfer. */
export type Regions = { readonly segments: readonly Segment[]; readonly isExact: boolean };

/** The bus master of one channel. */
export class BusMaster {
  readonly #options: BusMasterOptions;
  #command = 0;
  #status = 0;
  #table = 0;

  constructor(options: BusMasterOptions) {
    this.#options = options;
  }

  get isStarted(): boolean {
    return (this.#command & BM_COMMAND.start) !== 0;
  }

  /** @param offset from the first register of the channel */
  read(offset: number, size: AccessSize): number {
    const isActive = (this.#status & BM_STATUS.active) !== 0;
    if (isActive && offset <= BUS_MASTER.status && offset + size > BUS_MASTER.status) this.#options.onPoll();
    const registers = [this.#command, 0, this.#status, 0, ...this.#tableBytes];
    let value = 0;
    for (let i = 0; i < size; i++) value |= (registers[offset + i] ?? 0) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.#writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }

  #writeByte(offset: number, value: number): void {
    if (offset === BUS_MASTER.command) this.#writeCommand(value);
    else if (offset === BUS_MASTER.status) {
      const cleared = value & (BM_STATUS.error | BM_STATUS.interrupt);
      const kept = this.#status & ~BM_STATUS.capable & ~cleared;
      this.#status = kept | (value & BM_STATUS.capable);
    } else if (offset >= BUS_MASTER.table) {
      const bytes = this.#tableBytes;
      bytes[offset - BUS_MASTER.table] = value;
      const [first = 0, second = 0, third = 0, fourth = 0] = bytes;
      this.#table = ((first & 0xfc) | (second << 8) | (third << 16) | (fourth << 24)) >>> 0;
    }
  }

  get #tableBytes(): number[] {
    return [0, 8, 16, 24].map(shift => (this.#table >>> shift) & 0xff);
  }

  #writeCommand(value: number): void {
    const wasStarted = this.isStarted;
    this.#command = value & (BM_COMMAND.start | BM_COMMAND.toMemory);
    if (this.isStarted === wasStarted) return;
    if (this.isStarted) {
      this.#status |= BM_STATUS.active;
      this.#options.onStart();
    } else {
      const wasActive = (this.#status & BM_STATUS.active) !== 0;
      this.#status &= ~BM_STATUS.active;
      if (wasActive) this.#options.onStop();
    }
  }

  /** The memory for a transfer of `length` bytes; null if the table has less, or cannot be read. */
  regions(length: number): Regions | null {
    const { memory, isMaster } = this.#options;
    if (!isMaster()) return null;
    const segments: Segment[] = [];
    let found = 0;
    for (let index = 0; index < MAX_DESCRIPTORS; index++) {
      const at = this.#table + index * DESCRIPTOR.bytes;
      if (!memory.contains(at, DESCRIPTOR.bytes, 'read')) return null;
      const address = memory.readU32(at) & ~1;
      const flags = memory.readU32(at + 4);
      const bytes = flags & DESCRIPTOR.countMask || FULL_COUNT;
      const part = Math.min(bytes, length - found);
      if (part > 0) segments.push({ address: address >>> 0, length: part });
      found += bytes;
      if ((flags & DESCRIPTOR.end) !== 0)
        return found < length ? null : { segments, isExact: found === length };
      if (found >= length) return { segments, isExact: false };
    }
    return null;
  }

  /** A transfer has ended; if it has used the whole table, the bus master is done as well. */
  transferred(isExact: boolean): void {
    if (isExact) this.#status &= ~BM_STATUS.active;
  }

  /** The table is too short, or memory is missing. */
  failed(): void {
    this.#status = (this.#status & ~BM_STATUS.active) | BM_STATUS.error;
  }

  /** The drive asserts its interrupt. */
  interrupted(): void {
    this.#status |= BM_STATUS.interrupt;
  }

  reset(): void {
    this.#command = 0;
    this.#status = 0;
    this.#table = 0;
  }

  save(): DeviceState {
    return { command: this.#command, status: this.#status, table: this.#table };
  }

  load(state: DeviceState): void {
    this.#command = numberOf(state, 'command', 0xff) & (BM_COMMAND.start | BM_COMMAND.toMemory);
    this.#status = numberOf(state, 'status', 0x67);
    this.#table = (numberOf(state, 'table', 0xffff_ffff) & ~0x3) >>> 0;
  }
}
