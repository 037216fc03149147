import type { NetOptions } from '../../devices/backends/net.ts';
import { type Wire, wireFds } from '../../vmm/backends/net/wire.ts';
import type { WireUser } from '../../vmm/backends/net/wire-user.ts';
import { close, SOCK_SEQPACKET, setNonblocking, socketPair } from '../../vmm/native/libc.ts';

type HubOptions = Extract<NetOptions, { type: 'hub' }>;

/**
 * Connects a card to a hub of its machine, and opens the hub's other networks.
 * @param open opens a network. @throws NetworkError
 */
export async function openHub(
  { hub, networks = [] }: HubOptions,
  user: WireUser,
  open: (options: NetOptions, user: WireUser) => Promise<Wire>,
): Promise<Wire> {
  const opened: Wire[] = [];
  const [card, port] = socketPair(SOCK_SEQPACKET);
  try {
    for (const fd of [card, port]) setNonblocking(fd);
    // Plain frames without headers, so that each port can take those of the others.
    for (const network of networks)
      opened.push(await open(network, { ...user, header: false, queuePairs: 1, vhost: false }));
    const ports = opened.flatMap(({ fds: [fd], label }) => (fd === undefined ? [] : [{ label, fd }]));
    const labels = opened.map(({ label }) => label);
    const programs = opened.flatMap(({ program }) => program ?? []);
    const [first] = opened.filter(({ interface: name }) => name !== undefined);
    return {
      fds: [card],
      header: 'none',
      label: [`hub ${hub}`, ...labels].join(', '),
      ...(first !== undefined && { interface: first.interface }),
      ...(programs.length > 0 && { program: programs.join('; ') }),
      hub: { number: hub, ports: [{ label: user.device, fd: port }, ...ports] },
    };
  } catch (error) {
    for (const fd of [card, port, ...opened.flatMap(wireFds)]) close(fd);
    throw error;
  }
}
