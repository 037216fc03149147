import type { Sample } from '../sampling/sampling.ts';
import { applyDelta, deltaOf, type Json } from './delta.ts';
import { EMPTY_SAMPLE } from './protocol.ts';
import { rounded } from './rounding.ts';
import type { Sink } from './sink.ts';

/** Sends the samples that one client asked for, each as a difference from the previous one. */
export class SampleFeed {
  readonly #number: number;
  readonly #sink: Sink;
  #sent: Json = EMPTY_SAMPLE;
  /** The newest sample, held back while the client is behind with reading. */
  #held: Sample | null = null;

  constructor(number: number, sink: Sink) {
    this.#number = number;
    this.#sink = sink;
  }

  readonly sampled = (sample: Sample): void => {
    this.#held = sample;
    this.flush();
  };

  flush(): void {
    if (this.#held === null || this.#sink.congested) return;
    const { at, totals, detail, queues } = this.#held;
    this.#held = null;
    const delta = deltaOf(this.#sent, rounded({ totals, detail, queues }));
    if (delta !== undefined) this.#sent = applyDelta(this.#sent, delta);
    this.#sink.send('sample', { sampling: this.#number, at, delta: delta ?? null });
  }
}
