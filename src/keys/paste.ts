/** The markers that a terminal puts around a paste (xterm control sequences, "bracketed paste mode"). */
export const PASTE_START = Buffer.from('\x1b[200~');
const PASTE_END = Buffer.from('\x1b[201~');

/** No field needs more than this; the rest of a paste is dropped. */
const MAX_BYTES = 64 * 1024;

/** A paste as it arrives. Each byte is processed once, however long the paste is and however it is split. */
export class Paste {
  readonly #kept: Uint8Array[] = [];
  #bytes = 0;
  /** The start of a possible end marker. */
  #held = Buffer.alloc(0);

  /** @returns the bytes after the end marker; null until it arrives */
  push(bytes: Uint8Array): Uint8Array | null {
    const all = Buffer.concat([this.#held, bytes]);
    const end = all.indexOf(PASTE_END);
    const textEnd = end >= 0 ? end : Math.max(0, all.length - PASTE_END.length + 1);
    this.#keep(all.subarray(0, textEnd));
    this.#held = end >= 0 ? Buffer.alloc(0) : Buffer.from(all.subarray(textEnd));
    return end < 0 ? null : all.subarray(end + PASTE_END.length);
  }

  /** The text so far, at most 64 KiB of it. */
  get text(): string {
    return new TextDecoder().decode(Buffer.concat([...this.#kept, this.#held]).subarray(0, MAX_BYTES));
  }

  #keep(bytes: Uint8Array): void {
    const room = bytes.subarray(0, MAX_BYTES - this.#bytes);
    if (room.length === 0) return;
    this.#kept.push(Uint8Array.from(room));
    this.#bytes += room.length;
  }
}
