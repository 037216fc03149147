import type { ManagerNotifications } from './protocol.ts';

/** The connection to one client. */
export interface Sink {
  /** The client reads more slowly than this side sends: hold back, and send the whole state once it has caught up. */
  readonly congested: boolean;
  send<Method extends keyof ManagerNotifications>(method: Method, params: ManagerNotifications[Method]): void;
}
