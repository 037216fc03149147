import type { Segment } from '../../backends/disk-port.ts';
import type { GuestMemory } from '../../guest-memory.ts';
import { STATUS } from './status.ts';

const ENTRY = 8;
/** No guest-physical address beyond this is memory: numbers stay exact. */
const MAX_ADDRESS = 2 ** 52;

/** The data of a command, as its PRP entries describe it. */
export type PrpEntries = { readonly prp1: number; readonly prp2: number };

/**
 * The memory of `length` bytes that PRP entries describe (NVMe base 1.4 §4.3): the first page, possibly from an offset
 * on; then a second page, or lists of further ones. Entries of a list beyond the length are not read. Adjacent pages
 * become one segment.
 * @param length bytes, at least 1. @param page bytes of a page
 * @returns the segments, or the status of a command whose entries are invalid
 */
export function segmentsOf(
  memory: GuestMemory,
  { prp1, prp2 }: PrpEntries,
  length: number,
  page: number,
): readonly Segment[] | number {
  const offset = prp1 % page;
  if (offset % 4 !== 0) return STATUS.invalidPrpOffset;
  const segments = new Segments();
  const first = Math.min(length, page - offset);
  segments.add(prp1, first);
  const rest = length - first;
  if (rest === 0) return segments.result;
  if (rest <= page) {
    if (prp2 % page !== 0) return STATUS.invalidPrpOffset;
    segments.add(prp2, rest);
    return segments.result;
  }
  const problem = readLists(memory, prp2, { segments, rest, page });
  return problem === STATUS.success ? segments.result : problem;
}

type Rest = { readonly segments: Segments; readonly rest: number; readonly page: number };

/** Reads lists from `start` on; the last entry of a full one is the address of the next. @returns a status */
function readLists(memory: GuestMemory, start: number, { segments, rest, page }: Rest): number {
  if (start % ENTRY !== 0) return STATUS.invalidPrpOffset;
  let left = rest;
  for (let list = start; left > 0; ) {
    const room = (page - (list % page)) / ENTRY;
    const wanted = Math.ceil(left / page);
    const isLast = wanted <= room;
    const count = isLast ? wanted : room;
    if (list > MAX_ADDRESS || !memory.contains(list, count * ENTRY, 'read')) return STATUS.dataTransferError;
    const entries = memory.readable(list, count * ENTRY);
    const view = new DataView(entries.buffer, entries.byteOffset, entries.length);
    for (let index = 0; index < (isLast ? count : count - 1); index++) {
      const address = entryAt(view, index);
      if (address % page !== 0) return STATUS.invalidPrpOffset;
      const bytes = Math.min(left, page);
      segments.add(address, bytes);
      left -= bytes;
    }
    if (isLast) break;
    list = entryAt(view, count - 1);
    // A further list begins at the start of a page, so that it has at least one entry besides a link.
    if (list % page !== 0) return STATUS.invalidPrpOffset;
  }
  return STATUS.success;
}

function entryAt(view: DataView, index: number): number {
  return view.getUint32(index * ENTRY, true) + view.getUint32(index * ENTRY + 4, true) * 2 ** 32;
}

/** Pieces of memory, in which adjacent ones are joined. */
class Segments {
  readonly #pieces: { address: number; length: number }[] = [];
  #isReachable = true;

  add(address: number, length: number): void {
    // What is beyond all memory need not be exact.
    if (address + length > MAX_ADDRESS) this.#isReachable = false;
    const last = this.#pieces.at(-1);
    if (last !== undefined && last.address + last.length === address) last.length += length;
    else this.#pieces.push({ address, length });
  }

  get result(): readonly Segment[] | number {
    return this.#isReachable ? this.#pieces : STATUS.dataTransferError;
  }
}
