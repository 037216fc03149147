import { version } from '../../project-root.ts';
import type { ManagerInfo } from '../engine.ts';
import { PROTOCOL, type Welcome } from './protocol.ts';

const OWN_VERSION = version();

export function welcome(manager: ManagerInfo): Welcome {
  return { protocol: PROTOCOL, version: OWN_VERSION, pid: manager.pid, startedAt: manager.startedAt };
}

type Peer = { readonly protocol: number; readonly version: string };
const SELF: Peer = { protocol: PROTOCOL, version: OWN_VERSION };

/** What a manager says to a client of another protocol; null when they can work together. */
export function otherClient(client: Peer): string | null {
  return objection(client, SELF);
}

/** The same, as a client finds it in a manager that let it in. */
export function otherManager(manager: Peer): string | null {
  return objection(SELF, manager);
}

/** Why the two can't work together, and what to do. */
function objection(client: Peer, manager: Peer): string | null {
  if (client.protocol === manager.protocol) return null;
  const sides = `this is vring ${client.version} (protocol ${client.protocol}), and the VMs run in vring ${manager.version} (protocol ${manager.protocol})`;
  return client.protocol < manager.protocol
    ? `${sides}: use the newer vring here too`
    : `${sides}: vring manager restart shuts its VMs down, and starts them with this version`;
}
