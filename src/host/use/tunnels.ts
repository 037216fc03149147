import type { HostRoot } from '../root.ts';
import { integer } from '../text.ts';
import type { Route } from './routes.ts';

const directory = '/sys/class/net';
/** ARPHRD_ETHER and ARPHRD_LOOPBACK (include/uapi/linux/if_arp.h). */
const ETHERNET = 1;
const LOOPBACK = 772;

/** The upper interface of all ports of Open vSwitch, except for internal ports, which have no link to it. */
const OVS = 'ovs-system';

type Interface = {
  readonly name: string;
  /** Its PCI function, or null. */
  readonly function: string | null;
  readonly addresses: readonly string[];
  readonly routes: readonly Route[];
  readonly uppers: readonly string[];
};

/**
 * Which interfaces may carry the packets of which tunnels (WireGuard, a VPN's tun, GRE) and internal ports of Open
 * vSwitch: sysfs shows no interface below them, and only their programs know the remote address.
 * @param leaving interfaces to which packets that matter are sent
 */
export function carriedBy(
  root: HostRoot,
  all: readonly Interface[],
  leaving: ReadonlySet<string | undefined>,
): (each: Interface) => readonly string[] {
  const hasLower = new Set(all.flatMap(each => each.uppers));
  const floating = all.filter(
    each =>
      each.function === null && !hasLower.has(each.name) && leaving.has(each.name) && floats(root, each),
  );
  const isSwitched = (each: Interface): boolean =>
    hasLower.has(OVS) && each.name !== OVS && (arpType(root, each.name) ?? ETHERNET) === ETHERNET;
  const switched = floating.filter(isSwitched).map(each => each.name);
  const tunnels = floating.filter(each => !isSwitched(each)).map(each => each.name);
  const outer = all.filter(each => !floating.includes(each) && each.name !== 'lo');
  const routed = outer.filter(each => each.routes.some(route => route.gateway !== null));
  const addressed = outer.filter(each => each.addresses.some(address => !address.startsWith('fe80:')));
  const carriers = new Set(routed.length > 0 ? routed : addressed);
  return each => {
    if (each.name === OVS) return carriers.size > 0 ? switched : [...switched, ...tunnels];
    if (!carriers.has(each)) return [];
    return tunnels;
  };
}

/** Whether it has no interface below it although its packets leave the host. */
function floats(root: HostRoot, { name }: Interface): boolean {
  const path = `${directory}/${name}`;
  if (name === 'lo' || name === OVS || arpType(root, name) === LOOPBACK) return false;
  if (root.exists(`${path}/bridge`) || root.exists(`${path}/bonding`)) return false;
  // An end of a pair whose other end is in a container, or an interface on top of another one, has another `iflink`.
  const [own, link] = ['ifindex', 'iflink'].map(file => integer(root.attribute(`${path}/${file}`)));
  return own === null || link === null || link === 0 || own === link;
}

function arpType(root: HostRoot, name: string): number | null {
  return integer(root.attribute(`${directory}/${name}/type`));
}
