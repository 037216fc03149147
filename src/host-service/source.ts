import type { HostClient } from './client.ts';

/** A host to show. Nothing is read before its thread starts. */
export type HostSource = {
  /** Why it cannot be changed, to follow "cannot ...:"; null if it can. */
  readonly unchangeable: string | null;
  /** A short name of the recording; null for the running host. */
  readonly recording: string | null;
  connect(): HostConnection;
};

export type HostConnection = {
  readonly client: HostClient;
  /** Called when the thread has died. */
  onLost(listener: (reason: string) => void): void;
  /** Ends the thread immediately. */
  close(): Promise<void>;
};
