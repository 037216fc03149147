import type { Engine } from '../engine.ts';
import type { Sampling, SamplingSettings } from '../sampling/sampling.ts';
import { refusal } from './request-error.ts';
import { SampleFeed } from './sample-sender.ts';
import type { Sink } from './sink.ts';

const MAX_SAMPLINGS = 8;

/** The samplings of one client, by the numbers it chose. */
export class ClientSamplings {
  readonly #engine: Engine;
  readonly #sink: Sink;
  readonly #open = new Map<number, { readonly sampling: Sampling; readonly feed: SampleFeed }>();

  constructor(engine: Engine, sink: Sink) {
    this.#engine = engine;
    this.#sink = sink;
  }

  open(number: number, settings: SamplingSettings): void {
    if (this.#open.has(number)) throw refusal('invalidParams', `there is a sampling ${number} already`);
    if (this.#open.size >= MAX_SAMPLINGS)
      throw refusal('tooMany', `${MAX_SAMPLINGS} samplings are open already: close one first`);
    const feed = new SampleFeed(number, this.#sink);
    this.#open.set(number, { feed, sampling: this.#engine.sampling(settings, feed.sampled) });
  }

  at(number: number): Sampling {
    const found = this.#open.get(number);
    if (found === undefined) throw refusal('invalidParams', `there is no sampling ${number}`);
    return found.sampling;
  }

  close(number: number): void {
    this.at(number).close();
    this.#open.delete(number);
  }

  closeAll(): void {
    for (const { sampling } of this.#open.values()) sampling.close();
    this.#open.clear();
  }

  flush(): void {
    for (const { feed } of this.#open.values()) feed.flush();
  }
}
