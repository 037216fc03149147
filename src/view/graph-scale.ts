import { count, roundTop } from '../text/units.ts';

/** What the full height of a graph stands for. It does not follow the values from one picture to the next. */
export type Scale = { readonly top: number; readonly label: string };

/** Of a share of one thing. */
export const SHARE_SCALE: Scale = { top: 1, label: '0-100%' };

/** Of the time of several CPUs added up. */
export function cpuScale(cpus: number): Scale {
  const top = Math.max(1, cpus);
  return { top, label: `0-${top * 100}%` };
}

/** A graph of rates begins with this top, so that next to nothing does not look like much. */
const LEAST_RATE = 100;

/**
 * Of events per second: the top is 100, 200, 500, 1000 and so on, high enough for all values that are kept, not only for
 * those that are in sight.
 */
export function rateScale(series: readonly (readonly number[])[]): Scale {
  const most = series.reduce((most, values) => Math.max(most, ...values), 0);
  const top = roundTop(most, LEAST_RATE);
  return { top, label: `0-${count(top).replace('.0', '')}/s` };
}
