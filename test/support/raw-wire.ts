import { closeSync, readSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Polling interval for a packet socket, for which libuv has no events. */
const LOOK_AGAIN_MS = 2;
const PATIENCE_MS = 10_000;
/** Interval for repeating an unanswered request: an interface whose carrier has just come up drops its first frames. */
const ASK_AGAIN_MS = 1000;

const PAUSE = new Int32Array(new SharedArrayBuffer(4));

/** A guest's end of a wire of bare frames: sends frames, and waits for expected ones. */
export class RawWire {
  /** Received frames that have not been consumed. */
  readonly #pending: Buffer[] = [];
  /** Frames that arrived during a wait for another one. */
  readonly passed: Buffer[] = [];
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(1 << 17);
  #ended = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Blocks while the other end accepts no more. */
  send(frame: Uint8Array): void {
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        writeSync(this.#fd, frame);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || Date.now() > until) throw error;
        Atomics.wait(PAUSE, 0, 0, 1);
      }
    }
  }

  /** Takes the frames that have arrived. */
  #poll(): void {
    for (;;) {
      try {
        const length = readSync(this.#fd, this.#buffer);
        if (length === 0) {
          this.#ended = true;
          break;
        }
        this.#pending.push(Buffer.from(this.#buffer.subarray(0, length)));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#ended = true;
        break;
      }
    }
  }

  /** Whether the other end is closed. */
  get ended(): boolean {
    this.#poll();
    return this.#ended;
  }

  /**
   * The next frame for which `find` returns a value; those before it are dropped.
   * @param ask sends the request whose answer is expected; repeated each second
   * @throws after 10 s
   */
  async wait<T>(what: string, find: (frame: Buffer) => T | null, ask?: () => void): Promise<T> {
    const until = Date.now() + PATIENCE_MS;
    let nextAsk = Date.now();
    while (Date.now() < until) {
      if (ask !== undefined && Date.now() >= nextAsk) {
        ask();
        nextAsk += ASK_AGAIN_MS;
      }
      this.#poll();
      for (let frame = this.#pending.shift(); frame !== undefined; frame = this.#pending.shift()) {
        const found = find(frame);
        if (found !== null) return found;
        this.passed.push(frame);
      }
      if (this.#ended) throw new Error(`the wire ended, without ${what}`);
      await sleep(LOOK_AGAIN_MS);
    }
    throw new Error(`no ${what} within ${PATIENCE_MS} ms`);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
