import type { Sample, Sampling, SamplingSettings } from '../sampling/sampling.ts';
import { applyDelta, type Json } from './delta.ts';
import type { ManagerLink } from './manager-link.ts';
import { EMPTY_SAMPLE, type ManagerNotifications } from './protocol.ts';

/** A sampling that the manager does for this process; it outlives the connection. */
export class RemoteSampling implements Sampling {
  readonly #number: number;
  readonly #listener: (sample: Sample) => void;
  readonly #closed: () => void;
  #settings: SamplingSettings;
  #link: ManagerLink | null = null;
  #known: Json = EMPTY_SAMPLE;

  constructor(
    number: number,
    settings: SamplingSettings,
    listener: (sample: Sample) => void,
    closed: () => void,
  ) {
    this.#number = number;
    this.#settings = settings;
    this.#listener = listener;
    this.#closed = closed;
  }

  /** Starts the sampling over a new connection; null while disconnected. */
  follow(link: ManagerLink | null): void {
    this.#link = link;
    this.#known = EMPTY_SAMPLE;
    unheeded(link?.request('sampling/open', { sampling: this.#number, ...this.#settings }));
  }

  /** @throws DeltaError when it doesn't fit the previous sample */
  received({ at, delta }: ManagerNotifications['sample']): void {
    if (delta !== null) this.#known = applyDelta(this.#known, delta);
    this.#listener({ at, ...(this.#known as unknown as Omit<Sample, 'at'>) });
  }

  configure(change: Partial<SamplingSettings>): void {
    this.#settings = { ...this.#settings, ...change };
    unheeded(this.#link?.request('sampling/configure', { sampling: this.#number, ...change }));
  }

  resetTotals(): void {
    unheeded(this.#link?.request('sampling/resetTotals', { sampling: this.#number }));
  }

  close(): void {
    unheeded(this.#link?.request('sampling/close', { sampling: this.#number }));
    this.#link = null;
    this.#closed();
  }
}

/** If the connection breaks, the next one starts with the current settings. */
function unheeded(request: Promise<unknown> | undefined): void {
  request?.catch(() => {});
}
