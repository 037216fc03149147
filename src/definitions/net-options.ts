import type { NicForward, NicGuestForward, NicNetwork } from './fields/networks.ts';
import type { Nic } from './fields/nics.ts';
import { given, orNothing } from './given.ts';

/** Options of a network back end, as its type declares them. */
export type NetEntry = { readonly type: string } & Readonly<Record<string, unknown>>;

/** The back end of a network in a definition. */
export function netOptions({ network, queues }: Pick<Nic, 'network' | 'queues'>): NetEntry {
  const transfer = given({ queues: queues > 1 ? queues : undefined });
  switch (network.type) {
    case 'user':
      return userOptions(network);
    case 'tap': {
      const { type, interface: ifname, bridge: br, script, downscript } = network;
      return { type, ...given({ ifname, br, script, downscript }), ...transfer };
    }
    case 'bridge':
    case 'network':
      return { ...network, ...transfer };
    case 'macvtap': {
      const { mode, ...options } = network;
      return { ...options, ...(mode !== 'bridge' && { mode }), ...transfer };
    }
    case 'passt': {
      const { forward, ...options } = network;
      return { ...options, ...given({ hostfwd: orNothing(forward.map(forwardOptions)) }) };
    }
    case 'hub': {
      const networks = network.networks.map(member => netOptions({ network: member, queues: 1 }));
      return { type: network.type, hub: network.hub, ...(networks.length > 0 && { networks }) };
    }
    case 'none':
      return network;
  }
}

function userOptions(network: Extract<NicNetwork, { type: 'user' }>): NetEntry {
  const { forward, 'guest-forward': guestForward, search, restrict, ipv4, ipv6 } = network;
  return {
    type: network.type,
    ...given({
      net: network.net,
      host: network.host,
      dhcpstart: network['dhcp-start'],
      dns: network.dns,
      hostname: network.hostname,
      domainname: network.domain,
      dnssearch: orNothing(search),
      restrict: restrict || undefined,
      tftp: network.tftp,
      bootfile: network.bootfile,
      hostfwd: orNothing(forward.map(forwardOptions)),
      guestfwd: orNothing(guestForward.map(guestForwardOptions)),
      ipv4: ipv4 ? undefined : false,
      ipv6: ipv6 ? undefined : false,
      'ipv6-net': network['ipv6-net'],
      'ipv6-host': network['ipv6-host'],
      'ipv6-dns': network['ipv6-dns'],
    }),
  };
}

function forwardOptions(forward: NicForward) {
  return given({ ...forward });
}

function guestForwardOptions({ address, port, to, command }: NicGuestForward) {
  return { address, port, to: to ?? { command } };
}
