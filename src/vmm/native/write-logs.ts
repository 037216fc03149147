import { checked, nativeCalls } from './native-library.ts';

/** Turns the log of a block on or off: later writes of queue threads are recorded. @param log its address */
export function setWriteLog(log: bigint, on: boolean): void {
  checked('vring_write_log_set', nativeCalls().vring_write_log_set(log, Number(on)));
}

/**
 * Takes the recorded pages out of a log of `pages`.
 * @returns bits, of which bit i % 32 of word i / 32 is page i; null if there are none
 */
export function takeWritten(log: bigint, pages: number): Uint32Array | null {
  const words = new BigUint64Array(Math.ceil(pages / 64));
  const found = nativeCalls().vring_write_log_take(log, words, words.length);
  return checked('vring_write_log_take', found) === 0 ? null : new Uint32Array(words.buffer);
}
