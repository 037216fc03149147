/** Numbers as people read them in a narrow column: at most six characters, ASCII only. */

const SI = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
const BINARY = ['', 'K', 'M', 'G', 'T', 'P', 'E'];

function scaled(value: number, base: number, suffixes: readonly string[]): string {
  let step = 0;
  let rest = value;
  // 999.5 would round to 1000, which is a character too many.
  while (rest >= base - 0.5 && step < suffixes.length - 1) {
    rest /= base;
    step++;
  }
  const digits = step === 0 || rest >= 99.95 ? 0 : 1;
  return rest.toFixed(digits) + suffixes[step];
}

/** A count: `950`, `12.3k`, `4.0M`. */
export function count(value: number): string {
  return scaled(value, 1000, SI);
}

/** Events per second: as a count, with a decimal below ten, so that slow ones don't read as none. */
export function rate(perSecond: number): string {
  if (perSecond > 0 && perSecond < 9.95) return perSecond < 0.05 ? '<0.1' : perSecond.toFixed(1);
  return count(perSecond);
}

/** Bytes, or bytes per second, in powers of 1024: `512`, `1.2M`, `64M`. */
export function bytes(value: number): string {
  const text = scaled(value, 1024, BINARY);
  return text.replace('.0', '');
}

/** A share of 0 to 1 (or more, where several CPUs are added up) in percent: `0.4%`, `37%`, `812%`. */
export function percent(share: number): string {
  const value = share * 100;
  if (value === 0) return '0%';
  if (value < 0.05) return '<0.1%';
  return `${value.toFixed(value < 9.95 ? 1 : 0)}%`;
}

/** A length of time in nanoseconds: `850ns`, `12us`, `3.4ms`, `2.1s`. */
export function nanoseconds(ns: number): string {
  const units = ['ns', 'us', 'ms', 's'];
  let step = 0;
  let rest = ns;
  while (rest >= 999.5 && step < units.length - 1) {
    rest /= 1000;
    step++;
  }
  return `${rest.toFixed(step > 0 && rest < 9.95 ? 1 : 0)}${units[step]}`;
}

/** A length of time since a start: `42s`, `3m07s`, `5h12m`, `3d04h`. */
export function uptime(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (value: number) => String(value).padStart(2, '0');
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h${two(Math.floor(seconds / 60) % 60)}m`;
  return `${Math.floor(seconds / 86_400)}d${two(Math.floor(seconds / 3600) % 24)}h`;
}
