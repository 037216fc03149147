import * as z from 'zod/mini';
import { decodeState, encodeState } from '../../snapshot/state-codec.ts';
import { KEPT_EVENTS, type ReportState, SCROLLBACK_BYTES } from '../report.ts';
import type { CounterLabels } from '../topology.ts';
import type { HandedConnection } from './connections.ts';
import { HandOverError } from './messages.ts';

/** Everything that a machine's next process has to know, besides its memory and files. */
export type HandedState = {
  /** The state of the machine, which checks it on load. */
  readonly machine: unknown;
  /** Whether its user has paused it. */
  readonly paused: boolean;
  /** CLOCK_MONOTONIC when it was asked to stop, in nanoseconds. */
  readonly stoppedAt: bigint;
  /** What its counters count. */
  readonly counters: CounterLabels;
  readonly report: ReportState;
  /** Of its character back ends. Absent if sent by a vring that does not hand them over. */
  readonly connections?: readonly HandedConnection[];
};

/** Limit of blocks of each kind, and of entries of each list. */
const MOST = 4096;

const name = z.string().check(z.maxLength(200));
const sentence = z.string().check(z.maxLength(65_536));
const count = z.int().check(z.minimum(0));
const byDevice = z.record(name, sentence);
const list = <Entry extends z.ZodMiniType>(entry: Entry, length = MOST) =>
  z.array(entry).check(z.maxLength(length));

const schema = z.object({
  machine: z.unknown(),
  paused: z.boolean(),
  stoppedAt: z.bigint(),
  counters: z.object({
    shape: z.object({ vcpus: count, queues: count, regions: count }),
    queues: list(z.object({ id: count, slot: count, device: name, type: name, queue: name, size: count })),
    regions: list(
      z.object({
        id: count,
        index: count,
        device: name,
        space: z.enum(['port', 'memory']),
        start: z.number(),
        size: z.number(),
      }),
    ),
    statistics: z.optional(list(z.object({ id: count, index: count, device: name, name }))),
  }),
  report: z.object({
    ports: list(
      z.object({
        port: count.check(z.maximum(255)),
        total: count,
        sent: count,
        taken: count,
        bytes: z.instanceof(Uint8Array).check(z.refine(bytes => bytes.length <= SCROLLBACK_BYTES)),
      }),
      256,
    ),
    events: list(
      z.object({
        event: z.object({
          at: z.number(),
          level: z.enum(['info', 'warning', 'error']),
          text: sentence,
        }),
        known: z.boolean(),
      }),
      KEPT_EVENTS,
    ),
    broken: byDevice,
    diskErrors: byDevice,
  }),
  connections: z.optional(list(z.object({ device: name, hasClient: z.boolean() }))),
});

/** @throws StateError */
export function encodeHandedState(state: HandedState): Uint8Array {
  return encodeState(state);
}

/** @throws HandOverError, StateError if it is not one */
export function decodeHandedState(bytes: Uint8Array): HandedState {
  return parseHandedState(decodeState(bytes));
}

/** @throws HandOverError if it is not one */
export function parseHandedState(value: unknown): HandedState {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new HandOverError(`the state of the VM is not valid: ${issue!.path.join('.')}: ${issue!.message}`);
  }
  return parsed.data as unknown as HandedState;
}
