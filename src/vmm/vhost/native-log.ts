import * as libc from '../native/libc.ts';
import type { NativeVm } from '../native/native-vm.ts';
import { takeWritten } from '../native/write-logs.ts';
import type { VhostLog } from './vhost-memory.ts';

/** Bytes before the bits of a log: whether it is on, and the number of pages (native/src/memory/writes.rs). */
const HEADER_BYTES = 16;

/**
 * Makes logs in the same format as those of queue threads. A log that is large enough is reused, as its memory stays
 * mapped until the native VM ends.
 */
export function nativeLogs(
  native: Pick<NativeVm, 'ownMap'>,
): (pages: number) => VhostLog & { readonly pages: number } {
  let last: (VhostLog & { readonly pages: number }) | null = null;
  return pages => {
    if (last === null || last.pages < pages) last = newLog(native, pages);
    // Discards leftovers of earlier logging.
    last.take();
    return last;
  };
}

function newLog(native: Pick<NativeVm, 'ownMap'>, pages: number): VhostLog & { readonly pages: number } {
  const bytes = HEADER_BYTES + Math.ceil(pages / 64) * 8;
  const flags = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS | libc.MAP_NORESERVE;
  const address = libc.mmap(bytes, libc.PROT_READ | libc.PROT_WRITE, flags, -1);
  native.ownMap(address, bytes);
  new DataView(libc.viewOf(address, HEADER_BYTES)).setBigUint64(8, BigInt(pages), true);
  return { pages, address: address + BigInt(HEADER_BYTES), take: () => takeWritten(address, pages) };
}
