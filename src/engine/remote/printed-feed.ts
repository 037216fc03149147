import { Scrollback } from '../../vmm/machine/scrollback.ts';
import type { ConsoleListener } from '../engine.ts';
import type { Sink } from './sink.ts';

const HELD_BYTES = 64 * 1024;

/** Sends a console's output to one client. For a slow client, the last 64 KiB are kept. */
export class PrintedFeed implements ConsoleListener {
  readonly #number: number;
  readonly #sink: Sink;
  #held: Scrollback | null = null;
  #heldBytes = 0;
  #heldReplayed = false;

  constructor(number: number, sink: Sink) {
    this.#number = number;
    this.#sink = sink;
  }

  printed(bytes: Uint8Array, replayed: boolean): void {
    if (this.#held === null && !this.#sink.congested) {
      this.#send(bytes, replayed, false);
      return;
    }
    this.#held ??= new Scrollback(HELD_BYTES);
    this.#held.append(bytes);
    this.#heldBytes += bytes.byteLength;
    // Replayed is the safer of the two: a terminal does not answer queries from before it attached.
    this.#heldReplayed ||= replayed;
  }

  flush(): void {
    if (this.#held === null || this.#sink.congested) return;
    const bytes = this.#held.read();
    const lost = this.#heldBytes > HELD_BYTES;
    const replayed = lost || this.#heldReplayed;
    this.#held = null;
    this.#heldBytes = 0;
    this.#heldReplayed = false;
    this.#send(bytes, replayed, lost);
  }

  #send(bytes: Uint8Array, replayed: boolean, again: boolean): void {
    this.#sink.send('console/printed', { console: this.#number, bytes: base64(bytes), replayed, again });
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
