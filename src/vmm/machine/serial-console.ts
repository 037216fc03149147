import type { Cancel, CharBackend, Clock } from '../../devices/device.ts';

/** Bytes that are sent on at once when so many have come together. */
const FULL = 2048;
/** The guest takes byte by byte; the main thread hears of so many at once. */
const TAKEN_STEP = 4096;
/** The least time between two pieces: a byte waits for others so long at most, which is less than anybody sees. */
const WAIT_NS = 4_000_000n;

/**
 * The user's end of a serial port. A guest prints byte by byte, each a VM exit; they go to the main thread in
 * pieces: the first at once, then one every few milliseconds, or when many bytes have come together.
 */
export class SerialConsole implements CharBackend {
  onInput: ((bytes: Uint8Array) => void) | null = null;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #tellTaken: (bytes: number) => void;
  readonly #clock: Pick<Clock, 'at' | 'now'>;
  readonly #buffer = new Uint8Array(FULL);
  #length = 0;
  /** Typed bytes that the guest has taken and nobody has heard of. */
  #taken = 0;
  /** When the last piece was sent, nanoseconds. */
  #sentAt: bigint | null = null;
  /** Of the timer that sends what is in the buffer. */
  #cancelFlush: Cancel | null = null;

  /**
   * @param send what the guest prints
   * @param tellTaken how many typed bytes it has taken since the last time
   */
  constructor(
    send: (bytes: Uint8Array) => void,
    clock: Pick<Clock, 'at' | 'now'>,
    tellTaken: (bytes: number) => void = () => {},
  ) {
    this.#send = send;
    this.#tellTaken = tellTaken;
    this.#clock = clock;
  }

  write(bytes: Uint8Array): void {
    for (const byte of bytes) {
      this.#buffer[this.#length++] = byte;
      if (this.#length === FULL) this.flush();
    }
    if (this.#length > 0 && this.#cancelFlush === null) this.#flushSoon();
  }

  inputTaken(count: number, waiting: number): void {
    this.#taken += count;
    if (waiting > 0 && this.#taken < TAKEN_STEP) return;
    this.#tellTaken(this.#taken);
    this.#taken = 0;
  }

  #flushSoon(): void {
    const next = this.#sentAt === null ? 0n : this.#sentAt + WAIT_NS;
    if (next <= this.#clock.now()) this.flush();
    else this.#cancelFlush = this.#clock.at(next, () => this.flush());
  }

  flush(): void {
    if (this.#length === 0) return;
    this.#cancelFlush?.();
    this.#cancelFlush = null;
    this.#sentAt = this.#clock.now();
    this.#send(this.#buffer.slice(0, this.#length));
    this.#length = 0;
  }
}
