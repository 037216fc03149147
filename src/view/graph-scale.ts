import { count, roundTop } from '../text/units.ts';

/** The value at the full height of a graph. It does not follow the values from one frame to the next. */
export type Scale = { readonly top: number; readonly label: string };

/** For a share of one thing. */
export const SHARE_SCALE: Scale = { top: 1, label: '0-100%' };

/** For the time of several CPUs added up. */
export function cpuScale(cpus: number): Scale {
  const top = Math.max(1, cpus);
  return { top, label: `0-${top * 100}%` };
}

/** The lowest top of a graph of rates, so that small rates do not look large. */
const LEAST_RATE = 100;

/**
 * For events per second: the top is 100, 200, 500, 1000 and so on, high enough for all values that are kept, not only
 * for the visible ones.
 */
export function rateScale(series: readonly (readonly number[])[]): Scale {
  const most = series.reduce((most, values) => Math.max(most, ...values), 0);
  const top = roundTop(most, LEAST_RATE);
  return { top, label: `0-${count(top).replace('.0', '')}/s` };
}
