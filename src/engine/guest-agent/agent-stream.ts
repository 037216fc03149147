/** Precedes the answer to guest-sync-delimited: everything before it is discarded. */
const DELIMITER = 0xff;
const NEWLINE = 0x0a;

/** Extracts the messages of a guest agent, one line of JSON each, from an untrusted byte stream. */
export class AgentStream {
  readonly #onMessage: (message: unknown) => void;
  readonly #onGarbage: (reason: string) => void;
  /** The longest line, in bytes. */
  limit: number;
  #chunks: Uint8Array[] = [];
  #length = 0;
  /** A line that is too long is skipped to its end. */
  #skipping = false;

  constructor(limit: number, onMessage: (message: unknown) => void, onGarbage: (reason: string) => void) {
    this.limit = limit;
    this.#onMessage = onMessage;
    this.#onGarbage = onGarbage;
  }

  receive(bytes: Uint8Array): void {
    let start = 0;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === DELIMITER) this.#forget();
      else if (byte === NEWLINE) {
        this.#add(bytes.subarray(start, at));
        this.#endLine();
      } else continue;
      start = at + 1;
    }
    this.#add(bytes.subarray(start));
  }

  #add(part: Uint8Array): void {
    if (part.length === 0 || this.#skipping) return;
    this.#length += part.length;
    if (this.#length > this.limit) {
      this.#forget();
      this.#skipping = true;
      this.#onGarbage(`sent a line of more than ${this.limit} bytes`);
      return;
    }
    this.#chunks.push(part.slice());
  }

  #endLine(): void {
    const text = Buffer.concat(this.#chunks).toString('utf8').trim();
    const wasSkipped = this.#skipping;
    this.#forget();
    if (wasSkipped || text === '') return;
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      this.#onGarbage('sent a line that is not JSON');
      return;
    }
    this.#onMessage(message);
  }

  #forget(): void {
    this.#chunks = [];
    this.#length = 0;
    this.#skipping = false;
  }
}
