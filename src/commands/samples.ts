import type { Engine } from '../engine/engine.ts';
import type { Sample } from '../engine/sampling/sampling.ts';
import { isAlive } from '../engine/vm-info.ts';
import { within } from './vm/until.ts';

/** Added to the interval: a manager on a busy host answers slowly. */
const ANSWER_WITHIN_MS = 10_000;

const NOTHING_RUNS: Sample = { at: 0, totals: {}, detail: null, queues: null };

export type SampleOptions = {
  readonly intervalMs: number;
  /** The VM to sample in detail. */
  readonly detailOf?: string;
};

/** One sample over a whole interval. The engine's first sample covers less, and is skipped. */
export async function sampleOnce(engine: Engine, options: SampleOptions): Promise<Sample> {
  if (!engine.vms().some(isAlive)) {
    await new Promise(resolve => setTimeout(resolve, options.intervalMs));
    return { ...NOTHING_RUNS, at: Date.now() };
  }
  const whole = Promise.withResolvers<Sample>();
  const stop = sampleForever(engine, options, whole.resolve);
  const latest = 2 * options.intervalMs + ANSWER_WITHIN_MS;
  return await within(
    whole.promise,
    latest,
    'the manager sends no measurements; see vring manager status',
  ).finally(stop);
}

/** Samples over whole intervals. @returns stops sampling */
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
