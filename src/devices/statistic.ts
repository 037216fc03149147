/** A statistic of a device, as screens and metrics name it. */
export type StatisticName = {
  /** The device's name. */
  readonly device: string;
  /** What is counted, in a few words: `ticks`. */
  readonly name: string;
};

/** A named count of a device. It only grows, across resets too. */
export interface Statistic {
  /** @param amount from 0 to 2^53, truncated */
  add(amount: number): void;
  /** The device is gone. */
  release(): void;
}
