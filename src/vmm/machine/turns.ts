/** Work in turns: it yields whenever its thread's event loop, which it shares, has something to do. */
export type Turns<Result> = Generator<undefined, Result, undefined>;

/** Does work on a thread of its own, from beginning to end. */
export function atOnce<Result>(work: Turns<Result>): Result {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}
