/**
 * The initial time of a guest's clock: UTC, the host's local time, or a time, `2006-06-17T16:01:21` or `2006-06-17`.
 */
export const CLOCK_START = /^(utc|localtime|\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d)?)$/;

/** Whether the text is a valid start. */
export function isClockStart(text: string): boolean {
  return CLOCK_START.test(text) && !Number.isNaN(clockOffset(text, 0));
}

/** The initial time of a guest's clock minus the host's time in UTC, in milliseconds. @param now the latter */
export function clockOffset(start: string, now: number): number {
  if (start === 'utc') return 0;
  if (start === 'localtime') return -60_000 * new Date(now).getTimezoneOffset();
  return Date.parse(start.includes('T') ? `${start}Z` : start) - now;
}
