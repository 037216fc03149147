import type { NetOptions, NetType } from '../../devices/backends/net.ts';
import { NetworkError } from '../../vmm/backends/net/network-error.ts';
import { openTap } from '../../vmm/backends/net/tap.ts';
import type { Wire } from '../../vmm/backends/net/wire.ts';
import type { WireUser } from '../../vmm/backends/net/wire-user.ts';
import type { HostNetworks } from './host-networks.ts';
import { openMacvtap } from './macvtap.ts';
import { openHub } from './open-hub.ts';
import { openPasst } from './passt.ts';
import { openUserNetwork, type UserNetworkUser } from './user/open-user.ts';

/** Access to vring's networks; null if they cannot be used. */
export type KnownNetworks = Pick<HostNetworks, 'bringUp'> | null;

type Opener<Type extends NetType> = (
  options: Extract<NetOptions, { type: Type }>,
  user: WireUser,
  networks: KnownNetworks,
) => Wire | Promise<Wire>;

/** How each type of network back end is opened, one line each, in a process in the host's own network namespace. */
const OPENERS: { readonly [Type in NetType]: Opener<Type> } = {
  none: () => ({ fds: [], header: 'none', label: 'none' }),
  tap: openTap,
  hub: (options, user, networks) =>
    openHub(options, user, (network, each) => openWire(network, each, networks)),
  user: (options, user) => openUserNetwork(options, programUser(user)),
  passt: (options, user) => openPasst(options, programUser(user)),
  bridge: ({ bridge }, user) => openTap({ type: 'tap', br: bridge }, user),
  macvtap: openMacvtap,
  network: async ({ name }, user, networks) => {
    if (networks === null) throw new NetworkError(`network ${name} cannot be used: the VM has no manager`);
    const { bridge } = await networks.bringUp(name);
    const wire = await openTap({ type: 'tap', br: bridge }, user);
    return { ...wire, label: `${name} (tap ${wire.interface})` };
  },
};

const programUser = ({ vm, header, strictly }: WireUser): UserNetworkUser => ({
  vm,
  largeFrames: header,
  sharesMemory: header,
  strictly,
});

/** Opens a network for a device. The caller closes the fds. @throws NetworkError */
export async function openWire(
  options: NetOptions,
  user: WireUser,
  networks: KnownNetworks = null,
): Promise<Wire> {
  return (OPENERS[options.type] as Opener<NetType>)(options as never, user, networks);
}
