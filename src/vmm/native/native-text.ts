import { checked } from './native-library.ts';

const MAX_TEXT = 512;

/** A text that a call writes into a buffer. @param write returns its length, or an error */
export function readText(
  call: Parameters<typeof checked>[0],
  write: (buffer: Uint8Array, length: number) => number,
): string {
  const text = new Uint8Array(MAX_TEXT);
  const length = checked(call, write(text, text.length));
  return new TextDecoder().decode(text.subarray(0, Math.min(length, text.length)));
}
