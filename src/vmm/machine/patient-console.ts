import type { CharBackend } from '../../devices/backends/char.ts';
import type { Clock } from '../../devices/device.ts';

/** Limit of output that the manager has not read yet. Twice as much is kept of a port before the oldest is dropped. */
const UNREAD_MAX = 32 * 1024;
/** Interval for checking whether it has. */
const LOOK_NS = 2_000_000n;

export type PatientConsoleOptions = {
  readonly console: CharBackend;
  /** Bytes of output that have not been sent to the manager. */
  readonly unread: () => number;
  readonly clock: Pick<Clock, 'at' | 'now'>;
};

/**
 * A console whose output is read completely: a guest that prints faster than the manager reads has to wait, which is
 * not needed for viewers.
 */
export class PatientConsole implements CharBackend {
  readonly #options: PatientConsoleOptions;
  onRoom: (() => void) | null = null;
  #isLooking = false;

  constructor(options: PatientConsoleOptions) {
    this.#options = options;
  }

  get onInput() {
    return this.#options.console.onInput;
  }

  set onInput(receiver) {
    this.#options.console.onInput = receiver;
  }

  get room(): number {
    const room = Math.max(0, UNREAD_MAX - this.#options.unread());
    if (room === 0) this.#lookLater();
    return room;
  }

  write(bytes: Uint8Array): void {
    this.#options.console.write(bytes);
  }

  inputTaken(count: number, waiting: number): void {
    this.#options.console.inputTaken?.(count, waiting);
  }

  #lookLater(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { clock, unread } = this.#options;
    clock.at(clock.now() + LOOK_NS, () => {
      this.#isLooking = false;
      if (unread() < UNREAD_MAX) this.onRoom?.();
      else this.#lookLater();
    });
  }
}
