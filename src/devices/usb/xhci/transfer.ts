import type { Segment } from '../../backends/disk-port.ts';
import type { TransferEnd, UsbTransfer } from '../usb-device.ts';
import type { GuestAccess } from './guest-access.ts';
import { nextTrb, type RingPlace } from './ring.ts';
import { CODE, CONTROL, type Event, lengthOf, TRB, type Trb, typeOf } from './trb.ts';

/** More than any driver uses in a transfer descriptor. */
const MAX_TRBS = 1024;
/** The maximum size of a transfer descriptor (xHCI 1.1 §3.2.11). */
const MAX_BYTES = 2 ** 24;
const MAX_IMMEDIATE = 8;

/** An invalid transfer descriptor: it is too long, or contains what its endpoint does not support. */
export class TransferError extends Error {
  override readonly name = 'TransferError';
}

/** A driver's request to an endpoint: a chain of TRBs (xHCI 1.1 §4.11). */
export type TransferDescriptor = {
  readonly trbs: readonly Trb[];
  readonly length: number;
  readonly segments: readonly Segment[];
  /** The ring position after it. */
  readonly after: RingPlace;
};

const HAS_DATA: ReadonlySet<number> = new Set([TRB.normal, TRB.data]);

/**
 * The next descriptor; null if the driver has not written all of it yet. @throws HostSystemError, RingError,
 * TransferError
 */
export function nextDescriptor(
  memory: GuestAccess,
  from: RingPlace,
  isToHost: (first: Trb) => boolean,
): TransferDescriptor | null {
  const trbs: Trb[] = [];
  const segments: Segment[] = [];
  let length = 0;
  let place = from;
  for (;;) {
    const next = nextTrb(memory, place);
    if (next === null) return null;
    const { trb } = next;
    place = next.after;
    trbs.push(trb);
    const bytes = HAS_DATA.has(typeOf(trb)) ? lengthOf(trb) : 0;
    length += bytes;
    if (trbs.length > MAX_TRBS || length > MAX_BYTES) throw new TransferError('it is too long');
    if (bytes > 0) segments.push(segmentOf(memory, trb, bytes, isToHost(trbs[0]!)));
    if ((trb.control & CONTROL.chain) === 0) return { trbs, length, segments, after: place };
  }
}

function segmentOf(memory: GuestAccess, trb: Trb, length: number, toHost: boolean): Segment {
  if (trb.control & CONTROL.immediate) {
    if (toHost || length > MAX_IMMEDIATE) throw new TransferError('it has immediate data that does not fit');
    return { address: trb.address, length };
  }
  if (!memory.reaches(trb.pointer, length, toHost)) throw new TransferError('its data is not in memory');
  return { address: trb.pointer, length };
}

/** The data of a descriptor, as a device moves it. */
export class Transfer implements UsbTransfer {
  readonly length: number;
  readonly segments: readonly Segment[];
  readonly #memory: GuestAccess;
  readonly #ended: (end: TransferEnd) => void;

  constructor(
    memory: GuestAccess,
    { length, segments }: TransferDescriptor,
    ended: (end: TransferEnd) => void,
  ) {
    this.#memory = memory;
    this.length = length;
    this.segments = segments;
    this.#ended = ended;
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#each(offset, length, false, (address, size, at) => bytes.set(this.#memory.read(address, size), at));
    return bytes;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#each(offset, bytes.length, true, (address, size, at) =>
      this.#memory.write(address, bytes.subarray(at, at + size)),
    );
  }

  end(end: TransferEnd): void {
    this.#ended(end);
  }

  #each(
    offset: number,
    length: number,
    toHost: boolean,
    move: (address: number, size: number, at: number) => void,
  ): void {
    let skipped = offset;
    let at = 0;
    for (const segment of this.segments) {
      if (at === length) return;
      if (skipped >= segment.length) {
        skipped -= segment.length;
        continue;
      }
      const size = Math.min(segment.length - skipped, length - at);
      // The memory may have been taken from the guest since the transfer began.
      const address = segment.address + skipped;
      if (this.#memory.reaches(address, size, toHost)) move(address, size, at);
      at += size;
      skipped = 0;
    }
  }
}

/**
 * The events of a completed descriptor, each with its interrupter (xHCI 1.1 §4.10, §4.11.5.2).
 * @param transferred bytes
 * @param source slot and endpoint, as in events
 */
export function eventsOf(
  trbs: readonly Trb[],
  transferred: number,
  code: number,
  source: number,
): { readonly interrupter: number; readonly event: Event }[] {
  const events: { interrupter: number; event: Event }[] = [];
  const add = (trb: Trb, event: Omit<Event, 'type'>) =>
    events.push({ interrupter: trb.status >>> 22, event: { type: TRB.transferEvent, ...event } });
  const isFailure = code !== CODE.success;
  let left = transferred;
  /** Bytes since the last event data TRB. */
  let sum = 0;
  let isShort = false;
  let isShortReported = false;
  for (const trb of trbs) {
    const ends = (trb.control & CONTROL.onCompletion) !== 0;
    const shown = isShort ? CODE.shortPacket : code;
    if (typeOf(trb) === TRB.eventData) {
      const control = source | CONTROL.eventData;
      if (ends && !isFailure) add(trb, { pointer: trb, code: shown, length: sum, control });
      sum = 0;
      continue;
    }
    const length = HAS_DATA.has(typeOf(trb)) ? lengthOf(trb) : 0;
    const moved = Math.min(length, left);
    left -= moved;
    sum += moved;
    const isFirstShort: boolean = !isFailure && moved < length && !isShort;
    isShort ||= isFirstShort;
    const isWhereItFailed = isFailure && left === 0;
    const isReported =
      ends || isWhereItFailed || (isFirstShort && (trb.control & CONTROL.onShortPacket) !== 0);
    if (isReported && !isShortReported) {
      const now = isShort ? CODE.shortPacket : isFailure && !isWhereItFailed ? CODE.success : code;
      add(trb, { pointer: trb.address, code: now, length: length - moved, control: source });
      isShortReported = isShort;
    }
    if (isWhereItFailed) break;
  }
  return events;
}
