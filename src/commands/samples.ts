import type { Engine } from '../engine/engine.ts';
import type { Sample } from '../engine/sampling/sampling.ts';
import { isAlive } from '../engine/vm-info.ts';
import { within } from './vm/until.ts';

/** Beyond the interval: a manager on a busy host is slow to answer. */
const ANSWER_WITHIN_MS = 10_000;

const NOTHING_RUNS: Sample = { at: 0, totals: {}, detail: null, queues: null };

export type SampleOptions = {
  readonly intervalMs: number;
  /** The VM to look at in detail. */
  readonly detailOf?: string;
};

/** One sample over a whole interval. The first that an engine gives is over less, and is left out. */
export async function sampleOnce(engine: Engine, options: SampleOptions): Promise<Sample> {
  if (!engine.vms().some(isAlive)) {
    await new Promise(resolve => setTimeout(resolve, options.intervalMs));
    return { ...NOTHING_RUNS, at: Date.now() };
  }
  const whole = Promise.withResolvers<Sample>();
  const stop = sampleForever(engine, options, whole.resolve);
  const latest = 2 * options.intervalMs + ANSWER_WITHIN_MS;
  return await within(whole.promise, latest, 'the manager sends no measurements').finally(stop);
}

/** Each sample over a whole interval, until it is called off. */
export function sampleForever(
  engine: Engine,
  { intervalMs, detailOf }: SampleOptions,
  listener: (sample: Sample) => void,
): () => void {
  let first: number | null = null;
  const sampling = engine.sampling({ intervalMs, paused: false, detailOf: detailOf ?? null }, sample => {
    if (sample.at === 0) return;
    first ??= sample.at;
    if (sample.at !== first) listener(sample);
  });
  return () => sampling.close();
}
