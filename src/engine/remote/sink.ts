import type { OwnerNotifications } from './protocol.ts';

/** The way to one client. */
export interface Outlet {
  /** The client doesn't read as fast as it is told: hold back, and send the whole once it has caught up. */
  readonly congested: boolean;
  send<Method extends keyof OwnerNotifications>(method: Method, params: OwnerNotifications[Method]): void;
}
