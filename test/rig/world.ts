import type { EmulatedHost } from './emulated-host.ts';
import { DIGEST_PORT, FILE_PORT } from './peer.ts';

/** The server's name, which only the host's name server knows. */
export const WORLD = 'world.test';
/** The host's address there, on the interface `WORLD_INTERFACE`, and its default gateway. */
export const WORLD_INTERFACE = 'out0';
export const WORLD_GATEWAY = '203.0.113.2';
const OWN_ADDRESS = '203.0.113.1';
const SERVER_ADDRESS = '203.0.113.9';
/** What the server sends at FILE_PORT and, in two parts, at HALVES_PORT. */
export const WORLD_FILE = '/root/world-file';
export const FILE_BYTES = 1_000_000;
/** Sends half of the file, creates the file SENT_HALF, and sends the rest once there is a file SEND_REST. */
export const HALVES_PORT = 5004;
export const SENT_HALF = '/root/sent-half';
export const SEND_REST = '/root/send-rest';

/**
 * Gives the emulated host something to reach beyond itself: a server in a network namespace behind its default
 * gateway, which has no route to the networks of guests, and a name server for it.
 */
export async function startWorld(host: EmulatedHost): Promise<void> {
  const half = FILE_BYTES / 2;
  await host.check(`set -e
    ip() { /bin/ip "$@"; }
    mkdir -p /var/run
    ip netns add world
    ip link add ${WORLD_INTERFACE} type veth peer name in0 netns world
    ip addr add ${OWN_ADDRESS}/24 dev ${WORLD_INTERFACE}; ip link set ${WORLD_INTERFACE} up
    for address in ${WORLD_GATEWAY} ${SERVER_ADDRESS}; do ip -n world addr add $address/24 dev in0; done
    ip -n world link set in0 up
    ip route add default via ${WORLD_GATEWAY}
    # User-mode networks ping through sockets for it.
    echo '0 2147483647' >/proc/sys/net/ipv4/ping_group_range
    echo 'nameserver 127.0.0.1' >/etc/resolv.conf
    dnsmasq --conf-file=/dev/null --pid-file=/run/resolver.pid --no-hosts --no-resolv --bind-interfaces \\
      --listen-address=127.0.0.1 --address=/${WORLD}/${SERVER_ADDRESS}
    head -c ${FILE_BYTES} /dev/urandom >${WORLD_FILE}
    cat >/root/halves <<'end'
head -c ${half} ${WORLD_FILE}
touch ${SENT_HALF}
until [ -e ${SEND_REST} ]; do sleep 0.2; done
tail -c ${half} ${WORLD_FILE}
end
    serve() { ip netns exec world nc -ll -p "$@" >/dev/null 2>&1 & }
    serve ${DIGEST_PORT} -e sha256sum
    serve ${FILE_PORT} -e cat ${WORLD_FILE}
    serve ${HALVES_PORT} -e sh /root/halves`);
}
