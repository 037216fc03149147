import { version } from '../../project-root.ts';
import type { OwnerInfo } from '../engine.ts';
import { PROTOCOL, type Welcome } from './protocol.ts';

const OWN_VERSION = version();

export function welcome(owner: OwnerInfo): Welcome {
  return { protocol: PROTOCOL, version: OWN_VERSION, pid: owner.pid, startedAt: owner.startedAt };
}

type Peer = { readonly protocol: number; readonly version: string };
const SELF: Peer = { protocol: PROTOCOL, version: OWN_VERSION };

/** What an owner says to a client of another protocol; null when they can work together. */
export function otherClient(client: Peer): string | null {
  return objection(client, SELF);
}

/** The same, as a client finds it in an owner that let it in. */
export function otherOwner(owner: Peer): string | null {
  return objection(SELF, owner);
}

/** Why the two can't work together, and what to do. */
function objection(client: Peer, owner: Peer): string | null {
  if (client.protocol === owner.protocol) return null;
  const sides = `this is vring ${client.version} (protocol ${client.protocol}), and the VMs run in vring ${owner.version} (protocol ${owner.protocol})`;
  return client.protocol < owner.protocol
    ? `${sides}: use the newer vring here too`
    : `${sides}: shut its VMs down with that version and end it, then start them with this one`;
}
