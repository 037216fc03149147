import type { NetOptions, NetType } from '../../devices/backends/net.ts';
import { openTap } from '../../vmm/backends/net/tap.ts';
import type { Wire } from '../../vmm/backends/net/wire.ts';
import type { WireUser } from '../../vmm/backends/net/wire-user.ts';
import { openUserNetwork } from './user/open-user.ts';

type Opener<Type extends NetType> = (
  options: Extract<NetOptions, { type: Type }>,
  user: WireUser,
) => Wire | Promise<Wire>;

/** How each type of network back end is opened, one line each, by a process that is in the host's own network. */
const OPENERS: { readonly [Type in NetType]: Opener<Type> } = {
  none: () => ({ fds: [], header: 'none', label: 'none' }),
  tap: openTap,
  user: (options, user) => openUserNetwork(options, { vm: user.vm, largeFrames: user.header }),
};

/** Opens a network for a device. The fds are the caller's. @throws NetworkError */
export async function openWire(options: NetOptions, user: WireUser): Promise<Wire> {
  return (OPENERS[options.type] as Opener<NetType>)(options as never, user);
}
