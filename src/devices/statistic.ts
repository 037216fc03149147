/** A statistic of a device, as screens and metrics name it. */
export type StatisticName = {
  /** The device's name. */
  readonly device: string;
  /** What is counted, in a few words: `ticks`. */
  readonly name: string;
};

/** A number that a device counts by a name of its own. It only grows, and goes on across resets. */
export interface Statistic {
  /** @param amount from 0 to 2^53, truncated */
  add(amount: number): void;
  /** The device is gone. */
  release(): void;
}
