import type { CharBackend, TerminalSize } from '../../devices/backends/char.ts';
import type { Cancel, Clock } from '../../devices/device.ts';

/** Buffer size in bytes: a full buffer is sent immediately. */
const FULL = 2048;
/** The guest reads byte by byte; the main thread is notified once per this many bytes. */
const TAKEN_STEP = 4096;
/** The shortest interval between two chunks, and so the longest a byte is buffered: too short to notice. */
const WAIT_NS = 4_000_000n;

/**
 * The user's end of a serial port. A guest prints byte by byte, each a VM exit; the main thread gets them in chunks:
 * the first immediately, then one every few milliseconds or when the buffer is full.
 */
export class SerialConsole implements CharBackend {
  onInput: ((bytes: Uint8Array) => void) | null = null;
  onResized: ((size: TerminalSize) => void) | null = null;
  size: TerminalSize | null = null;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #reportTaken: (bytes: number) => void;
  readonly #clock: Pick<Clock, 'at' | 'now'>;
  readonly #buffer = new Uint8Array(FULL);
  #length = 0;
  /** Typed bytes that the guest has read and that haven't been reported. */
  #taken = 0;
  /** When the last chunk was sent, in nanoseconds. */
  #sentAt: bigint | null = null;
  /** Cancels the timer that flushes the buffer. */
  #cancelFlush: Cancel | null = null;

  /**
   * @param send called with the guest's output
   * @param reportTaken called with how many typed bytes the guest has read since the last call
   */
  constructor(
    send: (bytes: Uint8Array) => void,
    clock: Pick<Clock, 'at' | 'now'>,
    reportTaken: (bytes: number) => void = () => {},
  ) {
    this.#send = send;
    this.#reportTaken = reportTaken;
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
    if (waiting === 0 || this.#taken >= TAKEN_STEP) this.#flushTaken();
  }

  resize(size: TerminalSize): void {
    this.size = size;
    this.onResized?.(size);
  }

  /** Sends and reports everything that is held back. */
  settle(): void {
    this.flush();
    if (this.#taken > 0) this.#flushTaken();
  }

  #flushTaken(): void {
    this.#reportTaken(this.#taken);
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
