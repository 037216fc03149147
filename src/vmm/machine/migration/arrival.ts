import { decodeState, encodeState, StateError } from '../../snapshot/state-codec.ts';
import { type HandedState, parseHandedState } from '../hand-over/state.ts';
import type { MachineState } from '../machine-state.ts';
import type { ReportState } from '../report.ts';
import type { CounterLabels } from '../topology.ts';

/** What arrives of a machine from another host, besides its memory. */
export type Arrival = Pick<HandedState, 'machine' | 'report' | 'counters'> & {
  /** Its counters. */
  readonly words: BigUint64Array;
};

type Sent = {
  readonly machine: MachineState;
  readonly report: ReportState;
  readonly counters: CounterLabels;
  readonly words: BigUint64Array;
};

/** @throws StateError */
export function arrivingState({ words, ...rest }: Sent): Uint8Array {
  // Times of this host, and whether it is paused, go another way.
  const state = { ...rest, paused: false, stoppedAt: 0n };
  return encodeState({ ...state, words: new Uint8Array(words.buffer, words.byteOffset, words.byteLength) });
}

/** Decodes what another host has sent, which is not trusted. @throws StateError, HandOverError */
export function decodeArrival(bytes: Uint8Array): Arrival {
  const value = decodeState(bytes);
  const { machine, report, counters } = parseHandedState(value);
  const { words } = value as { readonly words?: unknown };
  if (!(words instanceof Uint8Array) || words.length % 8 !== 0) throw new StateError('it has no counters');
  return { machine, report, counters, words: new BigUint64Array(words.slice().buffer) };
}
