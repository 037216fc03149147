import type { Cancel, Clock } from '../../devices/device.ts';

/** Devices that take longer than this to stop are reported, in nanoseconds: usually it takes a millisecond. */
const PATIENCE_NS = 500_000_000n;

/** Reports the devices that a machine waits for, once it has waited for a while. */
export class HoldupReports {
  readonly #clock: Pick<Clock, 'at' | 'now'>;
  readonly #report: (devices: readonly string[]) => void;
  #devices: readonly string[] = [];
  #isReported = false;
  #timer: Cancel | null = null;

  constructor(clock: Pick<Clock, 'at' | 'now'>, report: (devices: readonly string[]) => void) {
    this.#clock = clock;
    this.#report = report;
  }

  /** @param devices that the machine now waits for */
  update(devices: readonly string[]): void {
    this.#devices = devices;
    if (devices.length === 0) {
      this.#timer?.();
      this.#timer = null;
    }
    if (this.#isReported) this.#notify();
    else if (devices.length > 0)
      this.#timer ??= this.#clock.at(this.#clock.now() + PATIENCE_NS, () => this.#notify());
  }

  #notify(): void {
    this.#timer = null;
    this.#isReported = this.#devices.length > 0;
    this.#report(this.#devices);
  }
}
