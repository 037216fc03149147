import { version } from '../../project-root.ts';
import type { ManagerInfo } from '../engine.ts';
import { PROTOCOL, type Welcome } from './protocol.ts';

const OWN_VERSION = version();
/** The protocol of the first managers whose VMs outlive them. */
const OUTLIVED_SINCE = 3;

export function welcome(manager: ManagerInfo): Welcome {
  return { protocol: PROTOCOL, version: OWN_VERSION, pid: manager.pid, startedAt: manager.startedAt };
}

type Peer = { readonly protocol: number; readonly version: string };
const SELF: Peer = { protocol: PROTOCOL, version: OWN_VERSION };

/** A manager's message to a client of another protocol; null if they can work together. */
export function otherClient(client: Peer): string | null {
  return objection(client, SELF);
}

/** The same, for a client that finds it in a manager that accepted it. */
export function otherManager(manager: Peer): string | null {
  return objection(SELF, manager);
}

/** Why the two can't work together, and what to do; null if they can. */
function objection(client: Peer, manager: Peer): string | null {
  if (client.protocol === manager.protocol) return null;
  const sides = `this is vring ${client.version} (protocol ${client.protocol}), and the manager is vring ${manager.version} (protocol ${manager.protocol})`;
  if (client.protocol < manager.protocol) return `${sides}: use the newer vring here too`;
  return manager.protocol < OUTLIVED_SINCE
    ? `${sides}: vring manager restart shuts its VMs down, and starts them with this version`
    : `${sides}: vring manager restart replaces it with this version, and its VMs keep running`;
}
