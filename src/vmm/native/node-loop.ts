import { type NativeAddon, nativeAddon } from './native-library.ts';

/** Nanoseconds in a millisecond. */
const MS = 1_000_000n;

/**
 * The event loop of this thread, for code that blocks the thread in native waits, between turns of the loop: in those
 * waits, libuv's epoll fd tells when it has something to do (`uv_backend_fd` in libuv's documentation).
 */
export class NodeLoop {
  readonly #addon: Required<NativeAddon>;
  #events = -1;
  #timeout = 0;
  #deadline: bigint | null = null;

  /** @throws an error for the user if Node does not export libuv's functions */
  constructor() {
    const addon = nativeAddon();
    if (addon.loopFd === undefined)
      throw new Error('this build of Node hides its event loop from addons: use the one from nodejs.org');
    this.#addon = addon as Required<NativeAddon>;
  }

  /** Readable once the loop has something to do. */
  get fd(): number {
    return this.#addon.loopFd();
  }

  /** When its next timer is due, on the monotonic clock; null if it has none. Valid once `isQuiet` has returned true. */
  get deadline(): bigint | null {
    return this.#deadline;
  }

  /** Calls back after a turn of the loop, in which it does what it has to do, and does not wait for more. */
  afterTurn(callback: () => void): NodeJS.Immediate {
    this.#addon.hurryLoop();
    // One that keeps the process alive would look like something to do.
    return setImmediate(() => {
      this.#addon.loopTimeout();
      callback();
    }).unref();
  }

  /** Undoes `afterTurn`. */
  cancel(turn: NodeJS.Immediate): void {
    clearImmediate(turn);
    this.#addon.loopTimeout();
  }

  /**
   * Whether the loop can be left waiting for its fd and its deadline. Call it in each callback of `afterTurn`. libuv adds
   * fds to its epoll fd only when it polls. So it is quiet after a turn in which it has polled, and in which nothing has
   * run that could have added another one.
   */
  isQuiet(): boolean {
    const [events, timeout] = [this.#events, this.#timeout];
    this.#events = this.#addon.loopEvents();
    this.#timeout = this.#addon.loopTimeout();
    // After a timer has run, the next one is further away, or else due as soon as that.
    const hasRunTimer = timeout > 0 && (this.#timeout < 0 || this.#timeout > timeout);
    if (timeout === 0 || this.#timeout === 0 || this.#events !== events || hasRunTimer) return false;
    this.#deadline = this.#timeout < 0 ? null : process.hrtime.bigint() + BigInt(this.#timeout) * MS;
    return true;
  }
}
