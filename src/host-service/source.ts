import type { HostClient } from './client.ts';

/** A host to show. Nothing of it is read before its thread is started. */
export type HostSource = {
  /** Why it can't be changed, to follow "can't ...:"; null when it can. */
  readonly unchangeable: string | null;
  /** A short name of the recording that is shown; null for the running host. */
  readonly recording: string | null;
  connect(): HostConnection;
};

export type HostConnection = {
  readonly client: HostClient;
  /** Told when the thread has died. */
  onLost(listener: (reason: string) => void): void;
  /** Ends the thread at once. */
  close(): Promise<void>;
};
