import { type NetOffloads, NO_OFFLOADS } from '../../../devices/backends/net.ts';
import { tryIoctl } from '../../native/libc.ts';

/** Requests of linux/if_tun.h. */
const TUNSETOFFLOAD = 0x4004_54d0;
const TUNSETQUEUE = 0x4004_54d9;

/** Arguments of TUNSETOFFLOAD (linux/if_tun.h). */
const TUN_F: { readonly [Offload in keyof NetOffloads]: number } = {
  checksum: 0x01,
  tso4: 0x02,
  tso6: 0x04,
  ecn: 0x08,
  ufo: 0x10,
  uso4: 0x20,
  uso6: 0x40,
};

const IFF_ATTACH_QUEUE = 0x0200;
const IFF_DETACH_QUEUE = 0x0400;
const IFREQ_BYTES = 40;
const IFREQ_FLAGS = 16;

/** UDP's are the newest (Linux 6.2), and `ufo` the oldest, which newer kernels no longer accept. */
const CANDIDATES: readonly (keyof NetOffloads)[][] = [['uso4', 'uso6'], ['ufo']];

/** The offloads that a TAP interface supports. All are off afterwards. */
export function tapOffloads(fd: number): NetOffloads {
  let taken: NetOffloads = { ...NO_OFFLOADS, checksum: true, tso4: true, tso6: true, ecn: true };
  if (!setTapOffloads(fd, taken)) return NO_OFFLOADS;
  for (const more of CANDIDATES) {
    const tried = { ...taken, ...Object.fromEntries(more.map(name => [name, true])) };
    if (setTapOffloads(fd, tried)) taken = tried;
  }
  setTapOffloads(fd, NO_OFFLOADS);
  return taken;
}

/** Sets which frames from the host may be left incomplete for the guest. @returns whether the kernel accepts that */
export function setTapOffloads(fd: number, offloads: NetOffloads): boolean {
  const names = Object.keys(TUN_F) as (keyof NetOffloads)[];
  // Segments have no complete checksums: the kernel refuses them without checksum offload.
  const wanted = offloads.checksum ? names.filter(name => offloads[name]) : [];
  const flags = wanted.reduce((all, name) => all | TUN_F[name], 0);
  return tryIoctl(fd, TUNSETOFFLOAD, flags) >= 0;
}

/** Sets whether an interface with several queues uses this one. */
export function setTapQueue(fd: number, isUsed: boolean): void {
  const request = new Uint8Array(IFREQ_BYTES);
  new DataView(request.buffer).setUint16(IFREQ_FLAGS, isUsed ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE, true);
  // EINVAL: nothing changes.
  tryIoctl(fd, TUNSETQUEUE, request);
}
