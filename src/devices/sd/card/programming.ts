import type { DiskPort, DiskPortError } from '../../backends/disk-port.ts';
import type { DeviceState } from '../../device.ts';
import { booleanOf, DeviceStateError, numberOf } from '../../state.ts';

/** The number of bytes erased at a time. */
const STEP = 2 ** 20;

/**
 * A part of the disk that is being erased: from byte `at` up to `end`. It reads as zeros afterward unless it is
 * discarded.
 */
export type Erased = { readonly at: number; readonly end: number; readonly isDiscarded: boolean };

export type ProgrammingHost = {
  readonly failed: (error: DiskPortError) => void;
  /** Called when it has ended, whether it succeeded or not. */
  readonly done: () => void;
};

/** What a card does while it is busy: it carries out a pending erase, and makes changes durable. */
export class Programming {
  readonly #port: () => DiskPort | null;
  readonly #host: ProgrammingHost;
  #isPending = false;
  #erased: Erased | null = null;
  /** Whether a disk request is under way; `#generation` tells it from earlier ones. */
  #isBusy = false;
  #generation = 0;

  constructor(port: () => DiskPort | null, host: ProgrammingHost) {
    this.#port = port;
    this.#host = host;
  }

  begin(erased: Erased | null): void {
    this.#isPending = true;
    this.#erased = erased;
    this.resume();
  }

  /** Forgets the work without completing it; the caller cancels the disk requests. */
  forget(): void {
    this.#generation++;
    this.#isBusy = false;
    this.#isPending = false;
    this.#erased = null;
  }

  /** Continues with the work, unless it is under way already. */
  resume(): void {
    if (!this.#isPending || this.#isBusy) return;
    const port = this.#port();
    if (port === null) {
      this.#end();
      return;
    }
    const generation = this.#generation;
    this.#isBusy = true;
    const then = (next: () => void) => (error: DiskPortError | null) => {
      if (generation !== this.#generation) return;
      this.#isBusy = false;
      if (error !== null) {
        this.#host.failed(error);
        this.#end();
      } else next();
    };
    if (this.#erased === null) port.flush(then(() => this.#end()));
    else this.#erase(port, this.#erased, then);
  }

  save(): DeviceState {
    const { at, end, isDiscarded } = this.#erased ?? { at: 0, end: 0, isDiscarded: false };
    return { isPending: this.#isPending, at, end, isDiscarded };
  }

  /**
   * Checks that a state fits a disk of `size` bytes. @param isPending from the card's state. @throws DeviceStateError
   */
  check(state: DeviceState, size: number, isPending: boolean): void {
    const end = numberOf(state, 'end', size);
    numberOf(state, 'at', end);
    booleanOf(state, 'isDiscarded');
    if (booleanOf(state, 'isPending') !== isPending)
      throw new DeviceStateError('isPending', 'state of the card');
  }

  /** Loads a checked state. */
  load(state: DeviceState): void {
    this.forget();
    const [at, end] = [state.at as number, state.end as number];
    this.#isPending = state.isPending as boolean;
    if (at < end) this.#erased = { at, end, isDiscarded: state.isDiscarded as boolean };
  }

  #erase(
    port: DiskPort,
    { at, end, isDiscarded }: Erased,
    then: (next: () => void) => (error: DiskPortError | null) => void,
  ): void {
    // The duration of a discard does not depend on its length.
    const length = isDiscarded ? end - at : Math.min(STEP, end - at);
    const done = then(() => {
      this.#erased = at + length < end ? { at: at + length, end, isDiscarded } : null;
      this.resume();
    });
    if (isDiscarded) port.discard(at, length, done);
    else port.writeFrom(at, new Uint8Array(length), done);
  }

  #end(): void {
    this.forget();
    this.#host.done();
  }
}
