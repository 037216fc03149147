import { type Clock, systemClock } from '../clock.ts';

/** What a terminal puts around a paste (xterm control sequences, "bracketed paste mode"). */
const PASTE_START = Buffer.from('\x1b[200~');
const PASTE_END = Buffer.from('\x1b[201~');
/** Ctrl-], which leaves a console. */
export const LEAVE_CONSOLE = 0x1d;

/** How long the rest of a marker may take to follow its first bytes; until then they are not passed on. */
const MARKER_TIMEOUT_MS = 30;
/** A paste that stands still for this long is over, so that one whose end got lost does not lock Ctrl-] away. */
const PASTE_TIMEOUT_MS = 1000;

export type ConsoleInputEvents = {
  /** Has the guest asked its terminal to mark pastes (DECSET 2004)? */
  wantsPasteMarkers(): boolean;
  /** For the guest. */
  typed(bytes: Uint8Array): void;
};

/**
 * What a user types into a guest's console. Paste markers are for a guest that asked for them, and Ctrl-] leaves, unless it is
 * part of a paste: the rest of that would go to whatever is behind the console.
 */
export class ConsoleInput {
  readonly #events: ConsoleInputEvents;
  readonly #clock: Clock;
  /** The beginning of what may become a marker. */
  #held: Buffer = Buffer.alloc(0);
  #pasting = false;
  #cancelTimer: () => void = () => {};

  constructor(events: ConsoleInputEvents, clock: Clock = systemClock) {
    this.#events = events;
    this.#clock = clock;
  }

  /** @returns how many of the bytes were taken, Ctrl-] included; null when all were, and nobody leaves */
  push(bytes: Uint8Array): number | null {
    this.#cancelTimer();
    const before = this.#held.length;
    const all = Buffer.concat([this.#held, bytes]);
    this.#held = Buffer.alloc(0);
    let at = 0;
    while (at < all.length) {
      const marker = this.#pasting ? PASTE_END : PASTE_START;
      const found = all.indexOf(marker, at);
      const leave = this.#pasting ? -1 : all.indexOf(LEAVE_CONSOLE, at);
      if (leave >= 0 && (found < 0 || leave < found)) {
        this.#pass(all.subarray(at, leave));
        return leave + 1 - before;
      }
      if (found < 0) {
        const end = all.length - partialMarker(all.subarray(at), marker);
        this.#pass(all.subarray(at, end));
        this.#held = all.subarray(end);
        break;
      }
      this.#pass(all.subarray(at, found));
      if (this.#events.wantsPasteMarkers()) this.#pass(marker);
      this.#pasting = !this.#pasting;
      at = found + marker.length;
    }
    this.#wait();
    return null;
  }

  /** Passes on what is held back. Afterwards it waits for nothing. */
  end(): void {
    this.#cancelTimer();
    this.#pass(this.#held);
    this.#held = Buffer.alloc(0);
    this.#pasting = false;
  }

  #wait(): void {
    if (!this.#pasting && this.#held.length === 0) return;
    const ms = this.#pasting ? PASTE_TIMEOUT_MS : MARKER_TIMEOUT_MS;
    this.#cancelTimer = this.#clock.after(ms, () => this.end());
  }

  #pass(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#events.typed(Uint8Array.from(bytes));
  }
}

/** Bytes at the end that a marker may begin with. */
function partialMarker(bytes: Buffer, marker: Buffer): number {
  for (let length = Math.min(bytes.length, marker.length - 1); length > 0; length--) {
    if (bytes.subarray(bytes.length - length).equals(marker.subarray(0, length))) return length;
  }
  return 0;
}
