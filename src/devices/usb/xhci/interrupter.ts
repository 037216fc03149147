import type { DeviceState } from '../../device.ts';
import { booleanOf, bytesOf, DeviceStateError, numberOf } from '../../state.ts';
import type { GuestAccess } from './guest-access.ts';
import { HANDLER_BUSY, INTERRUPTER, MANAGEMENT, withHigh, withLow } from './registers.ts';
import { CODE, CONTROL, type Event, encodeEvent, TRB, TRB_BYTES } from './trb.ts';

/** Sizes of an event ring segment (xHCI 1.1 §6.5). */
const MIN_TRBS = 16;
const MAX_TRBS = 4096;
/**
 * In units of 250 ns: 1 ms, as after a reset (§5.5.2.2). Interrupts are not moderated, since a guest of a VM gains
 * nothing by that.
 */
const MODERATION = 4000;
/** More events than work that began before the ring was full can cause. */
const MAX_WAITING = 4096;
const MAX_32 = 2 ** 32 - 1;

export type InterrupterHost = {
  readonly memory: GuestAccess;
  /** There are new events, and the driver is not processing others. */
  readonly raised: () => void;
  /** The level of its interrupt may have changed for another reason. */
  readonly changed: () => void;
};

/** An interrupter (§4.17): an event ring of one segment, and its interrupt. */
export class Interrupter {
  readonly #host: InterrupterHost;
  #isPending = false;
  #isEnabled = false;
  #moderation = MODERATION;
  /** Entries in the segment table: 0, which disables it, or 1. */
  #tableSize = 0;
  #table = 0;
  #dequeue = 0;
  #isBusy = false;
  /** The segment, of `#trbs` TRBs; none until the table has been written. */
  #start = 0;
  #trbs = 0;
  #enqueue = 0;
  #cycle: 0 | 1 = 1;
  /** Events that the ring has no room for. */
  #waiting: Uint8Array[] = [];
  #hasToldFull = false;

  constructor(host: InterrupterHost) {
    this.#host = host;
  }

  /** Whether its interrupt must be asserted, if interrupts are enabled. */
  get level(): boolean {
    return this.#isPending && this.#isEnabled;
  }

  /** The message of its interrupt has been sent. */
  sent(): void {
    this.#isPending = false;
  }

  /** Whether the driver has not made room for pending events, so that nothing that causes events may begin. */
  get isFull(): boolean {
    return this.#waiting.length > 0;
  }

  /** @throws HostSystemError */
  put(event: Event): void {
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(encodeEvent(event));
    this.#flush();
  }

  read(offset: number): number {
    switch (offset) {
      case INTERRUPTER.management:
        return (this.#isPending ? MANAGEMENT.pending : 0) | (this.#isEnabled ? MANAGEMENT.enable : 0);
      case INTERRUPTER.moderation:
        return this.#moderation;
      case INTERRUPTER.tableSize:
        return this.#tableSize;
      case INTERRUPTER.table:
        return this.#table % 2 ** 32;
      case INTERRUPTER.tableHigh:
        return Math.floor(this.#table / 2 ** 32);
      case INTERRUPTER.dequeue:
        return ((this.#dequeue % 2 ** 32) | (this.#isBusy ? HANDLER_BUSY : 0)) >>> 0;
      case INTERRUPTER.dequeueHigh:
        return Math.floor(this.#dequeue / 2 ** 32);
      default:
        return 0;
    }
  }

  /** @throws HostSystemError */
  write(offset: number, value: number): void {
    switch (offset) {
      case INTERRUPTER.management:
        if (value & MANAGEMENT.pending) this.#isPending = false;
        this.#isEnabled = (value & MANAGEMENT.enable) !== 0;
        this.#host.changed();
        break;
      case INTERRUPTER.moderation:
        this.#moderation = value;
        break;
      case INTERRUPTER.tableSize:
        this.#tableSize = value & 1;
        break;
      case INTERRUPTER.table:
        this.#table = withLow(this.#table, (value & ~0x3f) >>> 0);
        break;
      case INTERRUPTER.tableHigh:
        this.#table = withHigh(this.#table, value);
        this.#open();
        break;
      case INTERRUPTER.dequeue:
        if (value & HANDLER_BUSY) this.#isBusy = false;
        this.#dequeue = withLow(this.#dequeue, (value & ~0xf) >>> 0);
        this.#flush();
        if (value & HANDLER_BUSY && this.#trbs > 0 && this.#readIndex !== this.#enqueue) this.#raise();
        break;
      case INTERRUPTER.dequeueHigh:
        this.#dequeue = withHigh(this.#dequeue, value);
        this.#flush();
        break;
    }
  }

  reset(): void {
    this.#isPending = false;
    this.#isEnabled = false;
    this.#moderation = MODERATION;
    this.#tableSize = 0;
    this.#table = 0;
    this.#dequeue = 0;
    this.#isBusy = false;
    this.#close();
  }

  save(): DeviceState {
    const waiting = new Uint8Array(this.#waiting.length * TRB_BYTES);
    this.#waiting.forEach((event, at) => {
      waiting.set(event, at * TRB_BYTES);
    });
    return {
      isPending: this.#isPending,
      isEnabled: this.#isEnabled,
      moderation: this.#moderation,
      tableSize: this.#tableSize,
      table: this.#table,
      dequeue: this.#dequeue,
      isBusy: this.#isBusy,
      start: this.#start,
      trbs: this.#trbs,
      enqueue: this.#enqueue,
      cycle: this.#cycle,
      hasToldFull: this.#hasToldFull,
      waiting,
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const waiting = bytesOf(state, 'waiting');
    if (waiting.length % TRB_BYTES !== 0 || waiting.length > MAX_WAITING * TRB_BYTES)
      throw new DeviceStateError('waiting', 'list of events');
    const trbs = numberOf(state, 'trbs', MAX_TRBS);
    const enqueue = numberOf(state, 'enqueue', Math.max(0, trbs - 1));
    const [table, dequeue, start] = [
      numberOf(state, 'table'),
      numberOf(state, 'dequeue'),
      numberOf(state, 'start'),
    ];
    const flags = [
      booleanOf(state, 'isPending'),
      booleanOf(state, 'isEnabled'),
      booleanOf(state, 'isBusy'),
      booleanOf(state, 'hasToldFull'),
    ] as const;
    const moderation = numberOf(state, 'moderation', MAX_32);
    const tableSize = numberOf(state, 'tableSize', 1);
    this.#cycle = numberOf(state, 'cycle', 1) === 1 ? 1 : 0;
    [this.#moderation, this.#tableSize, this.#table] = [moderation, tableSize, table - (table % 64)];
    [this.#dequeue, this.#start] = [dequeue - (dequeue % 16), start];
    [this.#trbs, this.#enqueue] = [trbs, enqueue];
    [this.#isPending, this.#isEnabled, this.#isBusy, this.#hasToldFull] = flags;
    this.#waiting = [];
    for (let at = 0; at < waiting.length; at += TRB_BYTES)
      this.#waiting.push(waiting.slice(at, at + TRB_BYTES));
  }

  /** A write of the table's address, whose high half comes last, restarts the ring (§4.9.4). */
  #open(): void {
    this.#close();
    if (this.#tableSize === 0 || this.#table === 0) return;
    const { memory } = this.#host;
    this.#start = memory.readPointer(this.#table);
    const trbs = memory.readU32(this.#table + 8) & 0xffff;
    // A segment of an invalid size disables the ring.
    if (trbs >= MIN_TRBS && trbs <= MAX_TRBS) this.#trbs = trbs;
  }

  #close(): void {
    this.#start = 0;
    this.#trbs = 0;
    this.#enqueue = 0;
    this.#cycle = 1;
    this.#waiting = [];
    this.#hasToldFull = false;
  }

  /** The driver's read position; the write position if the pointer is outside the ring. */
  get #readIndex(): number {
    const index = (this.#dequeue - this.#start) / TRB_BYTES;
    return Number.isInteger(index) && index >= 0 && index < this.#trbs ? index : this.#enqueue;
  }

  /** Writes the events that there is room for. */
  #flush(): void {
    if (this.#trbs === 0) {
      // Without a ring, events are lost.
      this.#waiting = [];
      return;
    }
    let written = 0;
    while (this.#waiting.length > 0) {
      const room = (this.#readIndex - this.#enqueue - 1 + this.#trbs) % this.#trbs;
      if (room === 0) break;
      if (room === 1 && !this.#hasToldFull) {
        // The last entry reports that there may be more (§4.9.4).
        this.#hasToldFull = true;
        this.#write(encodeEvent({ type: TRB.hostController, pointer: 0, code: CODE.ringFull }));
      } else {
        this.#hasToldFull = false;
        this.#write(this.#waiting.shift()!);
      }
      written++;
    }
    if (written > 0) this.#raise();
  }

  #write(event: Uint8Array): void {
    const CONTROL_BYTE = 12;
    event[CONTROL_BYTE] = (event[CONTROL_BYTE]! & ~CONTROL.cycle) | this.#cycle;
    this.#host.memory.write(this.#start + this.#enqueue * TRB_BYTES, event);
    this.#enqueue++;
    if (this.#enqueue < this.#trbs) return;
    this.#enqueue = 0;
    this.#cycle = this.#cycle === 1 ? 0 : 1;
  }

  /** A driver that is processing events finds new ones without an interrupt (§4.17.2). */
  #raise(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#isPending = true;
    this.#host.raised();
  }
}
