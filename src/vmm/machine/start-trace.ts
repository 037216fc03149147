/** Where the time of a start goes, for `npm run bench -- start`: with VRING_TRACE_START in its manager's environment, a machine logs it. */
const tracing = process.env.VRING_TRACE_START !== undefined;
let marks: string[] = [];

/** Notes that a step of a start is done. */
export function mark(step: string): void {
  if (tracing) marks.push(`${step}=${process.hrtime.bigint() / 1000n}`);
}

/**
 * What has been noted since the last call: `start: received=84210332 kvm=84210701 ...`, in microseconds of CLOCK_MONOTONIC.
 * @returns null when that is nothing
 */
export function takeMarks(): string | null {
  if (marks.length === 0) return null;
  const text = `start: ${marks.join(' ')}`;
  marks = [];
  return text;
}
