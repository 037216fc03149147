/** Where the time of a start goes, for `npm run bench -- start`: with VRING_TRACE_START in its manager's environment, a machine logs it. */
export const tracing = process.env.VRING_TRACE_START !== undefined;
let marks: string[] = [];

/** Notes that a step of a start is done. @param at nanoseconds of CLOCK_MONOTONIC; default: now */
export function mark(step: string, at: bigint | null = null): void {
  if (tracing) marks.push(`${step}=${(at ?? process.hrtime.bigint()) / 1000n}`);
}

/** Notes when Node had started this thread. */
export function markThread(step: string): void {
  if (!tracing) return;
  const ago = performance.now() - performance.nodeTiming.bootstrapComplete;
  mark(step, process.hrtime.bigint() - BigInt(Math.round(ago * 1e6)));
}

/**
 * What has been noted since the last call: `start: received=84210332 kvm=84210701 ...`, in microseconds of CLOCK_MONOTONIC.
 * @returns null when that is nothing
 */
export function takeMarks(): string | null {
  if (marks.length === 0) return null;
  const text = `${TRACE}${marks.join(' ')}`;
  marks = [];
  return text;
}

/** What a log entry of `takeMarks` begins with. */
export const TRACE = 'start: ';
