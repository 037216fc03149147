/** The counters of one virtqueue. A queue that a native thread serves is counted there, by `slot`. */
export interface QueueCounters {
  readonly slot: number;
  kicked(): void;
  interrupted(): void;
  interruptSuppressed(): void;
  /** A chain was taken from the available ring. */
  taken(): void;
  /** A chain was returned `ns` nanoseconds after it was taken. */
  returned(ns: number, bytesToGuest: number, bytesFromGuest: number, failed: boolean): void;
  batch(): void;
}
