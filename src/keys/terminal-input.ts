import type { Clock } from '../clock.ts';
import { type ParsedKey, parseKey } from './parse-key.ts';
import { PASTE_START, Paste } from './paste.ts';

/** The recipient of terminal input. */
export type InputSink = {
  /** While true, bytes go to `raw`. */
  grabbed(): boolean;
  /**
   * @returns how many of the bytes it consumed, at least one; the others are read as keys unless it is still grabbed
   */
  raw(bytes: Uint8Array): number;
  key(key: ParsedKey): void;
  /** A control sequence that is no key. */
  sequence?(text: string): void;
};

/** How long to wait for the rest of a control sequence after its ESC. */
const ESCAPE_TIMEOUT_MS = 30;
/** Pastes get longer, for slow connections. */
const PASTE_TIMEOUT_MS = 1000;

/**
 * Turns the terminal's input into keys, one at a time: `jjj` arrives as one chunk, but is three keys. A key may hand
 * over the keyboard, so each is handled before the next is parsed.
 */
export class TerminalInput {
  readonly #sink: InputSink;
  readonly #clock: Clock;
  #pending: Uint8Array = new Uint8Array();
  #paste: Paste | null = null;
  #callOff: () => void = () => {};

  constructor(sink: InputSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  push(bytes: Uint8Array): void {
    this.#callOff();
    this.#read(Buffer.concat([this.#pending, bytes]), false);
  }

  #read(bytes: Uint8Array, complete: boolean): void {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#paste !== null) {
        rest = this.#pasted(this.#paste, rest);
        continue;
      }
      if (this.#sink.grabbed()) {
        rest = rest.subarray(this.#sink.raw(rest));
        continue;
      }
      if (PASTE_START.equals(rest.subarray(0, PASTE_START.length))) {
        this.#paste = new Paste();
        rest = rest.subarray(PASTE_START.length);
        continue;
      }
      const key = parseKey(rest, complete);
      if (key === null) break;
      const taken = rest.subarray(0, key.length);
      rest = rest.subarray(key.length);
      if (key.name !== '') this.#sink.key(key);
      else this.#sink.sequence?.(Buffer.from(taken).toString('latin1'));
    }
    this.#pending = rest;
    if (this.#paste !== null) {
      const paste = this.#paste;
      this.#callOff = this.#clock.after(PASTE_TIMEOUT_MS, () => this.#endPaste(paste));
    } else if (rest.length > 0) {
      this.#callOff = this.#clock.after(ESCAPE_TIMEOUT_MS, () => this.#read(this.#pending, true));
    }
  }

  /** @returns the bytes after the paste; none while it continues */
  #pasted(paste: Paste, bytes: Uint8Array): Uint8Array {
    const rest = paste.push(bytes);
    if (rest === null) return new Uint8Array();
    this.#endPaste(paste);
    return rest;
  }

  #endPaste(paste: Paste): void {
    this.#paste = null;
    this.#sink.key({ name: 'paste', text: paste.text, length: 0 });
  }
}
