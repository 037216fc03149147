import type { EmulatedHost } from './emulated-host.ts';

/** The peer's address on the Ethernet of the emulated host's network cards. */
export const PEER = '10.9.0.1';
/** Replies to a connection's complete input with its SHA-256 digest. */
export const DIGEST_PORT = 5001;
/** Sends this file to every client. */
export const FILE_PORT = 5002;
export const PEER_FILE = '/root/peer-file';

/**
 * Makes the emulated host a peer of the guests on the Ethernet that its cards share, through its virtio-net card: a
 * DHCP server and TCP services.
 */
export async function startPeer(host: EmulatedHost): Promise<void> {
  await host.check(`
    interface=$(ls /sys/bus/virtio/drivers/virtio_net/*/net)
    ip addr add ${PEER}/24 dev $interface; ip link set $interface up
    touch /root/leases
    printf '%s\\n' "interface $interface" 'start 10.9.0.10' 'end 10.9.0.99' 'option subnet 255.255.255.0' \\
      'lease_file /root/leases' >/root/udhcpd.conf
    udhcpd /root/udhcpd.conf
    dd if=/dev/urandom of=${PEER_FILE} bs=1M count=1
    nc -ll -p ${DIGEST_PORT} -e sha256sum >/dev/null 2>&1 &
    nc -ll -p ${FILE_PORT} -e cat ${PEER_FILE} >/dev/null 2>&1 &`);
}

/** For a guest: obtains an address by DHCP on an interface, and sends the server its name if it has one. */
export const dhcp = (networkInterface: string, name?: string) =>
  `udhcpc -i ${networkInterface} -n -q -t 10 -T 1 -s /bin/udhcpc-script${name === undefined ? '' : ` -x hostname:${name}`} 2>&1`;
