import type * as z from 'zod';
import { bytes } from '../../text/units.ts';
import type { DeviceState } from '../device.ts';
import { DeviceStateError, numberOf, stateOf } from '../state.ts';
import type { Zod } from '../zod.ts';

/** The most that a card gets in one direction, over all its queues. Absent limits do not apply. */
export type NetRate = {
  /** Packets per second. */
  readonly pps?: number | undefined;
  /** The largest burst of packets after a pause; default: a tenth of a second's worth. */
  readonly 'pps-burst'?: number | undefined;
  /** Bytes per second. */
  readonly bps?: number | undefined;
  /** The largest burst of bytes after a pause; default: a tenth of a second's worth. */
  readonly 'bps-burst'?: number | undefined;
};

/** Directions are the guest's. */
export type NetLimits = { readonly receive?: NetRate | undefined; readonly transmit?: NetRate | undefined };

export const DIRECTIONS = ['receive', 'transmit'] as const;

const MAX_RATE = 2 ** 50;
const RATES = ['pps', 'pps-burst', 'bps', 'bps-burst'] as const;

/** The schema of `NetLimits`. */
export function netLimits(z: Zod) {
  const number = z.int().min(1, 'at least 1 per second').max(MAX_RATE, 'at most 2^50 per second').optional();
  const rate = z
    .strictObject({ pps: number, 'pps-burst': number, bps: number, 'bps-burst': number })
    .superRefine(reportRateProblem)
    .optional();
  return z.strictObject({ receive: rate, transmit: rate });
}

/** Reports problems with a rate to its schema. */
export function reportRateProblem(rate: NetRate, context: z.RefinementCtx): void {
  const problem = rateProblem(rate);
  if (problem === null) return;
  const { key, message } = problem;
  context.addIssue({ code: 'custom', path: [key], message, input: rate[key] });
}

/** What is wrong with a rate whose numbers are valid, or null. */
export function rateProblem(rate: NetRate): { readonly key: keyof NetRate; readonly message: string } | null {
  for (const name of ['pps', 'bps'] as const) {
    const key = `${name}-burst` as const;
    const [limit, burst] = [rate[name], rate[key]];
    if (burst === undefined) continue;
    if (limit === undefined) return { key, message: `a burst needs a limit: give ${name}, too` };
    if (burst < limit) return { key, message: `a burst of less than ${name}: give at least as much` };
  }
  return null;
}

/** Whether any limit is set. */
export function areLimited(limits: NetLimits): boolean {
  return DIRECTIONS.some(direction => {
    const { pps, bps } = limits[direction] ?? {};
    return pps !== undefined || bps !== undefined;
  });
}

/** Limits as part of a device's state. */
export function savedNetLimits(limits: NetLimits): DeviceState {
  const saved = (rate: NetRate = {}) =>
    Object.fromEntries(RATES.flatMap(key => (rate[key] === undefined ? [] : [[key, rate[key]]])));
  return { receive: saved(limits.receive), transmit: saved(limits.transmit) };
}

/** What `savedNetLimits` saved. @throws DeviceStateError */
export function netLimitsOf(state: DeviceState): NetLimits {
  const [receive, transmit] = DIRECTIONS.map(direction => rateOf(stateOf(state, direction)));
  return { ...(receive && { receive }), ...(transmit && { transmit }) };
}

function rateOf(state: DeviceState): NetRate | null {
  const given = RATES.filter(key => state[key] !== undefined);
  const rate: NetRate = Object.fromEntries(given.map(key => [key, numberOf(state, key, MAX_RATE)]));
  if (rateProblem(rate) !== null || given.some(key => rate[key] === 0)) {
    throw new DeviceStateError('limits', 'limits');
  }
  return given.length === 0 ? null : rate;
}

/** `receive 1000 packets/s, 5M/s; transmit 5M/s in bursts of 10M`; `none` */
export function netLimitsText(limits: NetLimits): string {
  const parts = DIRECTIONS.flatMap(direction => {
    const rate = limits[direction];
    const text = rate === undefined ? '' : rateText(rate);
    return text === '' ? [] : [`${direction} ${text}`];
  });
  return parts.join('; ') || 'none';
}

function rateText({ pps, bps, 'pps-burst': ppsBurst, 'bps-burst': bpsBurst }: NetRate): string {
  const burst = (text: string | undefined) => (text === undefined ? '' : ` in bursts of ${text}`);
  const size = (value: number | undefined) => (value === undefined ? undefined : bytes(value));
  return [
    ...(pps === undefined ? [] : [`${pps} packets/s${burst(ppsBurst?.toString())}`]),
    ...(bps === undefined ? [] : [`${bytes(bps)}/s${burst(size(bpsBurst))}`]),
  ].join(', ');
}
