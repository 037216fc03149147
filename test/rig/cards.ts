import { expect } from 'vitest';
import type { EmulatedHost } from './emulated-host.ts';
import { DIGEST_PORT, dhcp, FILE_PORT } from './peer.ts';
import type { SerialGuest } from './serial-guest.ts';
import { startWorld, WORLD, WORLD_FILE, WORLD_GATEWAY, WORLD_INTERFACE } from './world.ts';

/** The port on which the guest serves its file. */
export const OFFER_PORT = 5003;
export const FORWARDED_PORT = 2003;
const PASST_PORT = 2004;
/** How long a transfer may take. */
const TRANSFER_SECONDS = 60;

/** A card of the guest, and the host's address on its network. */
export type Card = {
  readonly what: string;
  readonly mac: string;
  readonly host: string;
  /** Its server: the host, or the world by its name. */
  readonly server: string;
  /** The guest receives from the server instead of sending to it; see `passt`. */
  readonly receives?: boolean;
  /** Configures an address in the guest, on the interface. */
  readonly address: (name: string) => string;
  /** Where the host reaches the guest's port. */
  readonly guest: readonly [address: string, port: number];
};

const fixed = (address: string) => (name: string) => `ip addr add ${address}/24 dev ${name}`;

export const tap: Card = {
  ...{ what: 'a tap', mac: '52:54:00:00:00:01', host: '10.20.0.1', server: '10.20.0.1' },
  ...{ address: fixed('10.20.0.2'), guest: ['10.20.0.2', OFFER_PORT] },
};
export const bridged: Card = {
  ...{ what: 'a tap in a bridge', mac: '52:54:00:00:00:02', host: '10.21.0.1', server: '10.21.0.1' },
  ...{ address: fixed('10.21.0.2'), guest: ['10.21.0.2', OFFER_PORT] },
};
export const user: Card = {
  ...{ what: 'user mode', mac: '52:54:00:00:00:03', host: '10.0.2.2', server: WORLD },
  ...{ address: dhcp, guest: ['127.0.0.1', FORWARDED_PORT] },
};
/** The card whose magic packet wakes the machine. */
export const WAKING_MAC = '52:54:00:00:00:05';

/** Sends it a magic packet, as a datagram to the bridge's network. */
export async function sendMagicPacket(host: EmulatedHost): Promise<void> {
  const bytes = `${'ff'.repeat(6)}${WAKING_MAC.replaceAll(':', '').repeat(16)}`;
  const network = bridged.host.replace(/\d+$/, '255');
  await host.check(`node -e "
    const socket = require('node:dgram').createSocket('udp4');
    socket.bind(() => {
      socket.setBroadcast(true);
      socket.send(Buffer.from('${bytes}', 'hex'), 9, '${network}', () => socket.close());
    });"`);
}

export const nat: Card = {
  ...{ what: 'a NAT network', mac: '52:54:00:00:00:04', host: '192.168.150.1', server: WORLD },
  ...{ address: dhcp, guest: ['192.168.150.44', OFFER_PORT] },
};

/**
 * Its end of a connection that the guest has half closed is lost in Debian 12 (docs/networks.md), so the guest does not
 * send to a server that answers at the end.
 */
export const passt: Card = {
  ...{ what: 'passt', mac: '52:54:00:00:00:06', host: WORLD_GATEWAY, server: WORLD, receives: true },
  ...{ address: dhcp, guest: ['127.0.0.1', PASST_PORT] },
};
/** Of `vring vm attach --net`. */
export const PASST_OPTIONS = `passt:${WORLD_INTERFACE},mac=${passt.mac},tcp-ports=127.0.0.1/${PASST_PORT}:${OFFER_PORT}`;

/** Creates the host's ends of the networks that vring does not create, a digest server, and the world. */
export async function prepareNetworks(host: EmulatedHost): Promise<void> {
  await startWorld(host);
  await host.check(`set -e
    ip() { /bin/ip "$@"; }
    ip tuntap add tap0 mode tap vnet_hdr
    ip link add br0 type bridge
    ip addr add ${tap.host}/24 dev tap0; ip addr add ${bridged.host}/24 dev br0
    for name in tap0 br0; do ip link set $name up; done
    nc -ll -p ${DIGEST_PORT} -e sha256sum >/dev/null 2>&1 &`);
}

export const digest = async (on: Pick<EmulatedHost, 'check'> | SerialGuest, file: string) =>
  (await on.check(`sha256sum ${file} | cut -d ' ' -f 1`)).trim();

/** Sends a file over a connection from the guest to the server, and reports that it arrived. */
async function transferOut(
  host: EmulatedHost,
  guest: SerialGuest,
  { server, receives }: Card,
): Promise<void> {
  const limit = { seconds: TRANSFER_SECONDS };
  if (receives) {
    // Its input stays open.
    const received = await guest.check(
      `mkfifo /tmp/open; nc ${server} ${FILE_PORT} <>/tmp/open | sha256sum; rm /tmp/open`,
      limit,
    );
    expect(received).toContain(await digest(host, WORLD_FILE));
  } else {
    const sent = await digest(guest, '/tmp/data');
    expect(await guest.check(`nc ${server} ${DIGEST_PORT} </tmp/data`, limit)).toContain(sent);
  }
}

/** A port as /proc/net/tcp has it. */
const hexPort = (port: number) => port.toString(16).toUpperCase().padStart(4, '0');

/** Has the guest send a file over a connection from the host. */
async function transferIn(host: EmulatedHost, guest: SerialGuest, card: Card): Promise<void> {
  // State 0A is LISTEN. Before that, the connection would be refused.
  await guest.check(
    `(timeout ${TRANSFER_SECONDS} nc -l -p ${OFFER_PORT} -e cat /tmp/data >/dev/null 2>&1 &);
    until grep -q ':${hexPort(OFFER_PORT)} [^ ]* 0A' /proc/net/tcp /proc/net/tcp6; do sleep 0.1; done`,
  );
  const [address, port] = card.guest;
  expect(await host.check(`nc ${address} ${port} </dev/null | sha256sum`)).toContain(
    await digest(guest, '/tmp/data'),
  );
}

/** Brings a card of the guest up while `use` runs: others may have the same routes. */
export async function withCard(guest: SerialGuest, card: Card, use: () => Promise<void>): Promise<void> {
  const name = (await guest.check(`grep -l ${card.mac} /sys/class/net/*/address | cut -d / -f 5`)).trim();
  expect(await guest.check(`basename $(readlink /sys/class/net/${name}/device/driver)`)).toContain(
    'virtio_net',
  );
  await guest.check(`ip link set ${name} up; ${card.address(name)}`);
  try {
    await use();
  } finally {
    // Even after a failure, or every later test fails, too.
    await guest.run(`ip link set ${name} down; ip addr flush dev ${name}`);
  }
}

export async function ping(guest: SerialGuest, to: string): Promise<void> {
  expect(await guest.check(`ping -c 3 -W 5 ${to}`)).toContain('3 packets received');
}

/** Pings the host and the server, and transfers a file over a connection in each direction. */
export async function pingAndTransfer(host: EmulatedHost, guest: SerialGuest, card: Card): Promise<void> {
  await withCard(guest, card, async () => {
    for (const to of new Set([card.host, card.server])) await ping(guest, to);
    await guest.check('head -c 1000000 /dev/urandom >/tmp/data');
    await transferOut(host, guest, card);
    await transferIn(host, guest, card);
  });
}
