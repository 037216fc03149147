import { constants } from 'node:os';
import { codeText } from '../../../text/errno.ts';
import * as libc from '../../native/libc.ts';
import type { Wire } from './wire.ts';

const NODE = '/dev/vhost-net';

/** The interface's statistics on frames to the guest, and from it: a TAP interface receives what its user writes. */
const SENDS = ['tx_bytes', 'tx_packets', 'tx_dropped'];
const RECEIVES = ['rx_bytes', 'rx_packets', 'rx_dropped'];

/**
 * Lets the kernel carry the frames of an open TAP or macvtap interface if possible: opens vhost-net for each queue
 * pair, and the interface's counters.
 * @param wanted by the card @returns the wire with them, or with the reason why not
 */
export function withVhost(wire: Wire, kind: 'tap' | 'macvtap', wanted: boolean): Wire {
  if (!wanted) return { ...wire, withoutVhost: 'switched off' };
  const { interface: name, header, fds } = wire;
  if (name === undefined) return { ...wire, withoutVhost: 'it is no TAP interface' };
  if (header !== 'virtio') return { ...wire, withoutVhost: `${name} has no virtio headers` };
  const opened: number[] = [];
  const open = (path: string, flags: number) => {
    const fd = libc.open(path, flags);
    opened.push(fd);
    return fd;
  };
  try {
    const devices = fds.map(() => open(NODE, libc.O_RDWR));
    const files = kind === 'tap' ? [...SENDS, ...RECEIVES] : [...RECEIVES, ...SENDS];
    const counters = files.map(file => open(`/sys/class/net/${name}/statistics/${file}`, libc.O_RDONLY));
    return { ...wire, vhost: { devices, counters } };
  } catch (error) {
    for (const fd of opened) libc.close(fd);
    if (!(error instanceof libc.SystemError)) throw error;
    return { ...wire, withoutVhost: reason(error, name) };
  }
}

function reason({ call, errno, code }: libc.SystemError, name: string): string {
  const { ENOENT, ENODEV, ENXIO, EACCES, EPERM } = constants.errno;
  if (!call.includes(NODE)) return `the counters of ${name} cannot be read: ${codeText(code)}`;
  if ([ENOENT, ENODEV, ENXIO].includes(errno)) return `this host has no ${NODE}: modprobe vhost_net`;
  if ([EACCES, EPERM].includes(errno)) return `${NODE} may not be opened by this user`;
  return `${NODE} cannot be opened: ${codeText(code)}`;
}
