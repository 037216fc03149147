/**
 * Where the time of a start goes, for `npm run bench -- start`: with VRING_TRACE_START in its manager's environment, a
 * machine logs it.
 */
export const tracing = process.env.VRING_TRACE_START !== undefined;
let marks: { readonly step: string; readonly at: () => bigint }[] = [];

/** Records that a step of a start is done. @param at nanoseconds of CLOCK_MONOTONIC; default: now */
export function mark(step: string, at: bigint | null = null): void {
  if (!tracing) return;
  const time = at ?? process.hrtime.bigint();
  marks.push({ step, at: () => time });
}

/** Records when Node started this thread. That is looked up later: loading `performance` takes milliseconds. */
export function markThread(step: string): void {
  if (tracing) marks.push({ step, at: threadStart });
}

function threadStart(): bigint {
  const ago = performance.now() - performance.nodeTiming.bootstrapComplete;
  return process.hrtime.bigint() - BigInt(Math.round(ago * 1e6));
}

/**
 * The marks recorded since the last call: `start: received=84210332 kvm=84210701 ...`, in microseconds of
 * CLOCK_MONOTONIC.
 * @returns null if there are none
 */
export function takeMarks(): string | null {
  if (marks.length === 0) return null;
  const text = `${TRACE}${marks.map(({ step, at }) => `${step}=${at() / 1000n}`).join(' ')}`;
  marks = [];
  return text;
}

/** The start of a log entry from `takeMarks`. */
export const TRACE = 'start: ';
