import * as z from 'zod';
import { decodeState, encodeState } from '../../snapshot/state-codec.ts';
import { KEPT_EVENTS, type ReportState, SCROLLBACK_BYTES } from '../report.ts';
import type { CounterLabels } from '../topology.ts';
import { HandOverError } from './messages.ts';

/** All that a machine's next process has to know of it, besides its memory and files. */
export type HandedState = {
  /** The state of the machine, which checks it when it is loaded. */
  readonly machine: unknown;
  /** It is paused by its user. */
  readonly paused: boolean;
  /** CLOCK_MONOTONIC when it was asked to stop, in nanoseconds. */
  readonly stoppedAt: bigint;
  /** What its counters count. */
  readonly counters: CounterLabels;
  readonly report: ReportState;
};

const name = z.string().max(200);
const sentence = z.string().max(65_536);
const count = z.int().min(0);
const byDevice = z.record(name, sentence);

const schema = z.object({
  machine: z.unknown(),
  paused: z.boolean(),
  stoppedAt: z.bigint(),
  counters: z.object({
    shape: z.object({ vcpus: count, queues: count, regions: count }),
    queues: z
      .array(z.object({ id: count, slot: count, device: name, type: name, queue: name, size: count }))
      .max(4096),
    regions: z
      .array(
        z.object({
          id: count,
          index: count,
          device: name,
          space: z.enum(['port', 'memory']),
          start: z.number(),
          size: z.number(),
        }),
      )
      .max(4096),
    statistics: z
      .array(z.object({ id: count, index: count, device: name, name }))
      .max(4096)
      .optional(),
  }),
  report: z.object({
    ports: z
      .array(
        z.object({
          port: count.max(255),
          total: count,
          sent: count,
          taken: count,
          bytes: z.instanceof(Uint8Array).refine(bytes => bytes.length <= SCROLLBACK_BYTES),
        }),
      )
      .max(256),
    events: z
      .array(
        z.object({
          event: z.object({
            at: z.number(),
            level: z.enum(['info', 'warning', 'error']),
            text: sentence,
          }),
          known: z.boolean(),
        }),
      )
      .max(KEPT_EVENTS),
    broken: byDevice,
    diskErrors: byDevice,
  }),
});

/** @throws StateError */
export function encodeHandedState(state: HandedState): Uint8Array {
  return encodeState(state);
}

/** @throws HandOverError, StateError: it is none */
export function decodeHandedState(bytes: Uint8Array): HandedState {
  const parsed = schema.safeParse(decodeState(bytes));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new HandOverError(`the state of the VM is not valid: ${issue!.path.join('.')}: ${issue!.message}`);
  }
  return parsed.data as unknown as HandedState;
}
