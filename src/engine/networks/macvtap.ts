import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import type { NetOptions } from '../../devices/backends/net.ts';
import { programError } from '../../text/program-error.ts';
import { exists, indexOf, mtuOf } from '../../vmm/backends/net/interface.ts';
import { NetworkError } from '../../vmm/backends/net/network-error.ts';
import { withVhost } from '../../vmm/backends/net/open-vhost.ts';
import { openMacvtapQueue } from '../../vmm/backends/net/tap.ts';
import type { Wire } from '../../vmm/backends/net/wire.ts';
import type { WireUser } from '../../vmm/backends/net/wire-user.ts';
import * as libc from '../../vmm/native/libc.ts';

export type MacvtapOptions = Extract<NetOptions, { type: 'macvtap' }>;

const IP_LIMIT_MS = 10_000;
/** How long udev may take to create the node. */
const NODE_MS = 5000;
const LOOK_AGAIN_MS = 20;

/** The interface of a card, which is the same at every start. */
export function macvtapName(vm: string, device: string): string {
  return `mvt-${createHash('sha256').update(`${vm} ${device}`).digest('hex').slice(0, 10)}`;
}

/** Creates a macvtap interface on one of the host's, with the card's address. @throws NetworkError */
export async function openMacvtap({ interface: lower, mode }: MacvtapOptions, user: WireUser): Promise<Wire> {
  const { vm, device, mac, queuePairs, header } = user;
  const what = `interface ${lower}`;
  if (process.geteuid?.() !== 0)
    throw new NetworkError(`${what} cannot be shared by macvtap: that requires root`);
  if (!exists(lower)) throw new NetworkError(`${what} does not exist: ip link shows all`);
  const name = macvtapName(vm, device);
  // A VM that ended without a manager may have left one.
  await removeMacvtap(name);
  const address = mac === null ? [] : ['address', mac];
  await ip(what, ['link', 'add', 'link', lower, 'name', name, ...address, 'type', 'macvtap', 'mode', mode]);
  const fds: number[] = [];
  try {
    await ip(what, ['link', 'set', 'dev', name, 'up']);
    const node = `/dev/tap${indexOf(name)}`;
    await until(
      () => existsSync(node),
      `${node} was not created: check that udev is running, or that devtmpfs is mounted`,
    );
    for (let queue = 0; queue < queuePairs; queue++)
      fds.push(openMacvtapQueue(node, name, header, queuePairs));
    const label = `${lower} (macvtap ${name})`;
    const wire: Wire = { fds, header: header ? 'virtio' : 'none', mtu: mtuOf(name), label, interface: name };
    return withVhost(wire, 'macvtap', user.vhost);
  } catch (error) {
    for (const fd of fds) libc.close(fd);
    await removeMacvtap(name);
    throw error;
  }
}

/** Removals in progress, by name: the next one with the same name waits. */
const removing = new Map<string, Promise<void>>();

/** Unlike a TAP interface, a macvtap one stays when its last file is closed. @throws NetworkError */
export async function removeMacvtap(name: string): Promise<void> {
  const before = removing.get(name) ?? Promise.resolve();
  const removal = before
    .catch(() => {})
    .then(async () => {
      if (exists(name)) await ip(`interface ${name}`, ['link', 'delete', 'dev', name, 'type', 'macvtap']);
    });
  removing.set(name, removal);
  try {
    await removal;
  } finally {
    if (removing.get(name) === removal) removing.delete(name);
  }
}

async function ip(what: string, args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)('ip', args, { timeout: IP_LIMIT_MS });
  } catch (error) {
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string };
    const said = programError(stderr) ?? String(code);
    const advice =
      code === 'ENOENT' ? 'ip is missing: apt-get install iproute2, or dnf install iproute' : said;
    throw new NetworkError(`${what} cannot be shared by macvtap: ${advice}`, { cause: error });
  }
}

async function until(isTrue: () => boolean, otherwise: string): Promise<void> {
  for (let waited = 0; !isTrue(); waited += LOOK_AGAIN_MS) {
    if (waited >= NODE_MS) throw new NetworkError(otherwise);
    await new Promise(resolve => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
