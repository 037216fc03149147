/** The counters of one virtqueue. A queue that a native thread serves is counted there, by `slot`. */
export interface QueueCounters {
  readonly slot: number;
  /** The driver kicked so many times. */
  kicked(times: number): void;
  /** A batch was found for which the driver had not been asked to kick. */
  kickSuppressed(): void;
  interrupted(): void;
  interruptSuppressed(): void;
  /** A chain was taken from the available ring. */
  taken(): void;
  /** A chain was returned `ns` nanoseconds after it was taken. */
  returned(ns: number, bytesToGuest: number, bytesFromGuest: number, failed: boolean): void;
  /** Work was found in the available ring. */
  batch(): void;
}
