import type { Sample } from '../sampling/sampling.ts';
import { applyDelta, deltaOf, type Json } from './delta.ts';
import { EMPTY_SAMPLE } from './protocol.ts';
import { rounded } from './rounding.ts';
import type { Outlet } from './sink.ts';

/** Sends the samples that one client asked for, as differences from the one before. */
export class SampleFeed {
  readonly #number: number;
  readonly #outlet: Outlet;
  #sent: Json = EMPTY_SAMPLE;
  /** The newest one, held back while the client is behind with reading. */
  #held: Sample | null = null;

  constructor(number: number, outlet: Outlet) {
    this.#number = number;
    this.#outlet = outlet;
  }

  readonly sampled = (sample: Sample): void => {
    this.#held = sample;
    this.flush();
  };

  flush(): void {
    if (this.#held === null || this.#outlet.congested) return;
    const { at, totals, detail } = this.#held;
    this.#held = null;
    const delta = deltaOf(this.#sent, rounded({ totals, detail }));
    if (delta !== undefined) this.#sent = applyDelta(this.#sent, delta);
    this.#outlet.send('sample', { sampling: this.#number, at, delta: delta ?? null });
  }
}
