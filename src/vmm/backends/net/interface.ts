import { constants } from 'node:os';
import * as libc from '../../native/libc.ts';
import { NetworkError } from './network-error.ts';

/** Requests of linux/sockios.h, and a flag of linux/if.h. */
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCGIFMTU = 0x8921;
const SIOCGIFINDEX = 0x8933;
const SIOCBRADDIF = 0x89a2;
const IFF_UP = 1;

/** struct ifreq (linux/if.h): the name, then a union of 24 bytes. */
const IFREQ_BYTES = 40;
const IFNAME_BYTES = 16;
const AF_INET = 2;

/** A struct ifreq for the interface. */
export function ifreq(name: string): Uint8Array {
  const request = new Uint8Array(IFREQ_BYTES);
  new TextEncoder().encodeInto(name, request.subarray(0, IFNAME_BYTES - 1));
  return request;
}

/** The name in a struct ifreq that the kernel has filled. */
export function ifreqName(request: Uint8Array): string {
  const name = request.subarray(0, IFNAME_BYTES);
  const end = name.indexOf(0);
  return new TextDecoder().decode(end < 0 ? name : name.subarray(0, end));
}

/** The union of a struct ifreq. */
export function ifreqValue(request: Uint8Array): DataView {
  return new DataView(request.buffer, request.byteOffset + IFNAME_BYTES, IFREQ_BYTES - IFNAME_BYTES);
}

/** Whether an interface of this name exists in this process's network namespace. */
export function exists(name: string): boolean {
  const socket = libc.socket(AF_INET, libc.SOCK_DGRAM);
  try {
    return libc.tryIoctl(socket, SIOCGIFFLAGS, ifreq(name)) >= 0;
  } finally {
    libc.close(socket);
  }
}

/** Brings an interface up. @throws NetworkError */
export function bringUp(name: string): void {
  const request = ifreq(name);
  asked(name, 'be brought up', 'SIOCGIFFLAGS', SIOCGIFFLAGS, request);
  const value = ifreqValue(request);
  const flags = value.getInt16(0, true);
  if (flags & IFF_UP) return;
  value.setInt16(0, flags | IFF_UP, true);
  asked(name, 'be brought up', 'SIOCSIFFLAGS', SIOCSIFFLAGS, request);
}

/** Largest payload of its frames, in bytes. @throws NetworkError */
export function mtuOf(name: string): number {
  const request = ifreq(name);
  asked(name, 'be asked for its MTU', 'SIOCGIFMTU', SIOCGIFMTU, request);
  return ifreqValue(request).getInt32(0, true);
}

/** The kernel's index of an interface. @throws NetworkError */
export function indexOf(name: string): number {
  const request = ifreq(name);
  asked(name, 'be found', 'SIOCGIFINDEX', SIOCGIFINDEX, request);
  return ifreqValue(request).getInt32(0, true);
}

/** Makes an interface a port of a bridge; no change if it already is one. @throws NetworkError */
export function attachToBridge(name: string, bridge: string): void {
  const request = ifreq(bridge);
  ifreqValue(request).setInt32(0, indexOf(name), true);
  try {
    asked(name, `be attached to the bridge ${bridge}`, 'SIOCBRADDIF', SIOCBRADDIF, request);
  } catch (error) {
    if (!(error instanceof NetworkError && isErrno(error.cause, constants.errno.EBUSY))) throw error;
  }
}

/** Whether `error` is this errno from the kernel. */
export function isErrno(error: unknown, errno: number): boolean {
  return error instanceof libc.SystemError && error.errno === errno;
}

function asked(name: string, what: string, call: string, request: number, argument: Uint8Array): void {
  const socket = libc.socket(AF_INET, libc.SOCK_DGRAM);
  try {
    libc.ioctl(socket, call, request, argument);
  } catch (error) {
    const { errno } = error as libc.SystemError;
    throw new NetworkError(`interface ${name} cannot ${what}: ${adviceFor(errno)}`, { cause: error });
  } finally {
    libc.close(socket);
  }
}

function adviceFor(errno: number): string {
  const { EPERM, EACCES, ENODEV, EOPNOTSUPP, EINVAL } = constants.errno;
  if (errno === EPERM || errno === EACCES)
    return 'that requires root (CAP_NET_ADMIN): configure it as root beforehand';
  if (errno === ENODEV) return 'there is no such interface: ip link shows all';
  if (errno === EOPNOTSUPP) return 'it is not a bridge, or not one that takes ports';
  if (errno === EINVAL) return 'the kernel does not accept that for this kind of interface';
  return libc.errnoName(errno);
}
