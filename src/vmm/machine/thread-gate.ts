/**
 * When a machine thread may be terminated. Node ends a thread in the middle of whatever it does; where that is koffi making
 * values (as it loads, or gives out views of memory), koffi finds that it can't throw, and aborts the whole process, with
 * every VM in it. So the thread says when it is in such a stretch, and whoever wants its end waits for the end of that.
 */
export class ThreadGate {
  /** A word that is 1 while the thread may be terminated, and one that is 1 once its end is wanted. */
  readonly words: Int32Array<SharedArrayBuffer>;

  /** A new thread is loading. @param words of the same gate, in its thread */
  constructor(words = new Int32Array(new SharedArrayBuffer(8))) {
    this.words = words;
  }

  /** In the thread: what comes must not be interrupted. */
  close(): void {
    Atomics.store(this.words, OPEN, 0);
  }

  /** In the thread: from here on it may be terminated. @returns whether somebody wants that */
  open(): { readonly endWanted: boolean } {
    Atomics.store(this.words, OPEN, 1);
    Atomics.notify(this.words, OPEN);
    return { endWanted: Atomics.load(this.words, END_WANTED) === 1 };
  }

  /** Outside: what the thread hears when it opens its gate. */
  wantEnd(): void {
    Atomics.store(this.words, END_WANTED, 1);
  }

  /** Outside: resolves once the thread may be terminated, or it has taken too long. */
  async opened(mostMs: number): Promise<void> {
    await Atomics.waitAsync(this.words, OPEN, 0, mostMs).value;
  }

  /** `opened`, for a process that exits: nothing else happens meanwhile. */
  awaitOpened(mostMs: number): void {
    Atomics.wait(this.words, OPEN, 0, mostMs);
  }
}

const OPEN = 0;
const END_WANTED = 1;
