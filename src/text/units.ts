/** Human-readable numbers for narrow columns: at most six characters, ASCII only. */

const SI = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
const BINARY = ['', 'K', 'M', 'G', 'T', 'P', 'E'];

function scaled(value: number, base: number, suffixes: readonly string[]): string {
  let step = 0;
  let rest = value;
  // 999.5 would round to 1000, which is one character too long.
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

/** Events per second: a count, with a decimal below ten, so that low rates don't read as zero. */
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

/** A duration in nanoseconds: `850ns`, `12us`, `3.4ms`, `2.1s`. */
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

/** A time since a start: `42s`, `3m07s`, `5h12m`, `3d04h`. */
export function uptime(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (value: number) => String(value).padStart(2, '0');
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h${two(Math.floor(seconds / 60) % 60)}m`;
  return `${Math.floor(seconds / 86_400)}d${two(Math.floor(seconds / 3600) % 24)}h`;
}

/** The unit of a number typed by the user. A share of 1 is 100 percent. */
export type Unit = 'count' | 'bytes' | 'share' | 'nanoseconds' | 'milliseconds';

const SCALES: Readonly<Record<Unit, Readonly<Record<string, number>>>> = {
  count: { '': 1, k: 1e3, m: 1e6, g: 1e9 },
  bytes: { '': 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 },
  share: { '': 0.01, '%': 0.01 },
  nanoseconds: { '': 1, ns: 1, us: 1e3, ms: 1e6, s: 1e9 },
  milliseconds: { '': 1000, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 },
};

/** Reads `50`, `50%`, `4G`, `2.5ms`, `12k` as a number of the unit; null if it isn't one. */
export function quantity(text: string, unit: Unit): number | null {
  const [, number, suffix = ''] = /^(\d+(?:\.\d+)?)([a-z%]*)$/i.exec(text) ?? [];
  const scales = new Map(Object.entries(SCALES[unit]));
  const scale = scales.get(suffix.toLowerCase());
  return number === undefined || scale === undefined ? null : Number(number) * scale;
}

/** The smallest 1, 2 or 5 times a power of ten that is at least `least` and the value: the top of a graph. */
export function roundTop(value: number, least: number): number {
  const wanted = Math.max(value, least);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = [1, 2, 5, 10].find(step => step * power >= wanted)!;
  return step * power;
}
