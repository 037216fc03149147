/**
 * Coordinates when a machine thread may be terminated. Node terminates a thread at any point. If koffi is creating
 * values at that moment (while it loads, or when it returns views of memory), it can't throw, and aborts the whole
 * process with every VM in it. So the thread closes the gate around such code, and the terminating thread waits for the
 * gate to open.
 */
export class ThreadGate {
  /**
   * One word is 1 while the thread may be terminated, one is 1 once it has been asked to end, one once it has closed
   * its socket. The last one is the state of its machine: TAKEN or REVOKED.
   */
  readonly words: Int32Array<SharedArrayBuffer>;

  /** The gate starts closed: a new thread is loading. @param words the gate's words, when opened in its thread */
  constructor(words = new Int32Array(new SharedArrayBuffer(16))) {
    this.words = words;
  }

  /** In the thread: the following code must not be interrupted. Does not return if the thread has been asked to end. */
  close(): void {
    Atomics.store(this.words, OPEN, 0);
    if (!this.#endRequested) return;
    // The requester may have found the gate open, and terminates the thread at any moment.
    this.open();
    Atomics.wait(this.words, END_REQUESTED, 1);
  }

  /** In the thread: runs code that must not be interrupted. */
  runClosed<Result>(code: () => Result): Result {
    if (Atomics.load(this.words, OPEN) === 0) return code();
    this.close();
    try {
      return code();
    } finally {
      this.open();
    }
  }

  /** In the thread: it may be terminated from here on. @returns whether it has been asked to end */
  open(): { readonly endRequested: boolean } {
    Atomics.store(this.words, OPEN, 1);
    Atomics.notify(this.words, OPEN);
    return { endRequested: this.#endRequested };
  }

  get #endRequested(): boolean {
    return Atomics.load(this.words, END_REQUESTED) === 1;
  }

  /** In the thread: it is about to use what it was given. @returns false if that was revoked */
  take(): boolean {
    return Atomics.compareExchange(this.words, MACHINE, 0, TAKEN) === 0;
  }

  /** Outside: keeps the thread from using what it was given. @returns false if it already does */
  revoke(): boolean {
    return Atomics.compareExchange(this.words, MACHINE, 0, REVOKED) !== TAKEN;
  }

  /** In the thread: it closes the socket that it was given. A terminated thread does not get there. */
  noteSocketClosed(): void {
    Atomics.store(this.words, SOCKET_CLOSED, 1);
  }

  /** Outside. */
  get socketClosed(): boolean {
    return Atomics.load(this.words, SOCKET_CLOSED) === 1;
  }

  /** Outside: asks the thread to end; it finds out when it opens the gate. */
  requestEnd(): void {
    Atomics.store(this.words, END_REQUESTED, 1);
  }

  /** Outside: resolves once the thread may be terminated, or after the timeout. */
  async opened(timeoutMs: number): Promise<void> {
    await Atomics.waitAsync(this.words, OPEN, 0, timeoutMs).value;
  }

  /** Like `opened`, but blocks: for a process that is exiting. */
  awaitOpened(timeoutMs: number): void {
    Atomics.wait(this.words, OPEN, 0, timeoutMs);
  }
}

const OPEN = 0;
const END_REQUESTED = 1;
const SOCKET_CLOSED = 2;
const MACHINE = 3;

const TAKEN = 1;
const REVOKED = 2;
