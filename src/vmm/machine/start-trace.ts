/**
 * Where the time of a start goes, for `npm run bench -- start`: with VRING_TRACE_START in its manager's environment, a
 * machine logs it.
 */
export const tracing = process.env.VRING_TRACE_START !== undefined;
let marks: string[] = [];

/** Records that a step of a start is done. @param at nanoseconds of CLOCK_MONOTONIC; default: now */
export function mark(step: string, at: bigint | null = null): void {
  if (tracing) marks.push(`${step}=${(at ?? process.hrtime.bigint()) / 1000n}`);
}

/** Records when Node started this thread. */
export function markThread(step: string): void {
  if (!tracing) return;
  const ago = performance.now() - performance.nodeTiming.bootstrapComplete;
  mark(step, process.hrtime.bigint() - BigInt(Math.round(ago * 1e6)));
}

/**
 * The marks recorded since the last call: `start: received=84210332 kvm=84210701 ...`, in microseconds of
 * CLOCK_MONOTONIC.
 * @returns null if there are none
 */
export function takeMarks(): string | null {
  if (marks.length === 0) return null;
  const text = `${TRACE}${marks.join(' ')}`;
  marks = [];
  return text;
}

/** The start of a log entry from `takeMarks`. */
export const TRACE = 'start: ';
