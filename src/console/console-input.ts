import { type Clock, systemClock } from '../clock.ts';

/** The markers that a terminal puts around a paste (xterm control sequences, "bracketed paste mode"). */
const PASTE_START = Buffer.from('\x1b[200~');
const PASTE_END = Buffer.from('\x1b[201~');
/** Ctrl-], which leaves a console. */
export const LEAVE_CONSOLE = 0x1d;

/** How long to wait for the rest of a marker; until then its first bytes are held back. */
const MARKER_TIMEOUT_MS = 30;
/** A paste without new bytes for this long is over, so that one with a lost end marker doesn't disable Ctrl-]. */
const PASTE_TIMEOUT_MS = 1000;

export type ConsoleInputEvents = {
  /** Whether the guest has asked its terminal to mark pastes (DECSET 2004). */
  wantsPasteMarkers(): boolean;
  /** For the guest. */
  typed(bytes: Uint8Array): void;
};

/**
 * Filters what a user types into a guest's console. Paste markers only go to a guest that asked for them. Ctrl-] leaves,
 * except within a paste: the rest of the paste would go to whatever is behind the console.
 */
export class ConsoleInput {
  readonly #events: ConsoleInputEvents;
  readonly #clock: Clock;
  /** The start of a possible marker. */
  #held: Buffer = Buffer.alloc(0);
  #pasting = false;
  #cancelTimer: () => void = () => {};

  constructor(events: ConsoleInputEvents, clock: Clock = systemClock) {
    this.#events = events;
    this.#clock = clock;
  }

  /** @returns how many bytes were consumed, including Ctrl-], when the user leaves; else null */
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

  /** Forwards what is held back, and stops waiting. */
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

/** The number of bytes at the end that may start a marker. */
function partialMarker(bytes: Buffer, marker: Buffer): number {
  for (let length = Math.min(bytes.length, marker.length - 1); length > 0; length--) {
    if (bytes.subarray(bytes.length - length).equals(marker.subarray(0, length))) return length;
  }
  return 0;
}
