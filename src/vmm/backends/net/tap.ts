import { execFile } from 'node:child_process';
import { fstatSync } from 'node:fs';
import { constants } from 'node:os';
import { promisify } from 'node:util';
import type { NetOptions } from '../../../devices/backends/net.ts';
import { codeText } from '../../../text/errno.ts';
import * as libc from '../../native/libc.ts';
import {
  attachToBridge,
  bringUp,
  exists,
  ifreq,
  ifreqName,
  ifreqValue,
  isErrno,
  mtuOf,
} from './interface.ts';
import { NetworkError } from './network-error.ts';
import { withVhost } from './open-vhost.ts';
import { openSteering } from './steering/tap-steering.ts';
import type { Wire } from './wire.ts';
import type { WireUser } from './wire-user.ts';

export type TapOptions = Extract<NetOptions, { type: 'tap' }>;

/** Requests and flags of linux/if_tun.h. */
const TUNSETIFF = 0x4004_54ca;
const TUNGETIFF = 0x8004_54d2;
const TUNSETVNETHDRSZ = 0x4004_54d8;
const TUNGETVNETHDRSZ = 0x8004_54d7;
const IFF_TAP = 0x0002;
const IFF_MULTI_QUEUE = 0x0100;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;

/** struct virtio_net_hdr_v1, as modern virtio devices have it (virtio 1.3 §5.1.6). */
const HEADER_BYTES = 12;

const SCRIPT_LIMIT_MS = 30_000;

/** Opens a TAP interface, new or existing. @throws NetworkError */
export async function openTap(options: TapOptions, user: WireUser): Promise<Wire> {
  const { ifname, br, script } = options;
  const wire =
    options.fds !== undefined
      ? adoptFds(options.fds)
      : openInterface(ifname ?? null, options.queues ?? user.queuePairs, user.header);
  try {
    const name = wire.interface;
    if (name === undefined) return withVhost(wire, 'tap', user.vhost);
    if (br !== undefined) attachToBridge(name, br);
    if (script !== undefined) await runScript(script, name);
    const isReady = options.fds !== undefined || wire.existed;
    if (!isReady && script === undefined) bringUp(name);
    const label = br === undefined ? name : `${br} (tap ${name})`;
    const { fds, header } = wire;
    const open = withVhost({ fds, header, mtu: mtuOf(name), label, interface: name }, 'tap', user.vhost);
    const steering = fds.length > 1 ? openSteering(fds[0]!) : null;
    return steering === null ? open : { ...open, steering };
  } catch (error) {
    for (const fd of wire.fds) libc.close(fd);
    throw error;
  }
}

/** Runs a user's script with the name of an interface. @throws NetworkError */
export async function runScript(script: string, name: string): Promise<void> {
  try {
    await promisify(execFile)(script, [name], { timeout: SCRIPT_LIMIT_MS });
  } catch (error) {
    const {
      code,
      signal,
      stderr = '',
    } = error as {
      code?: number | string;
      signal?: string | null;
      stderr?: string;
    };
    const how =
      typeof code === 'number'
        ? `ended with status ${code}`
        : signal != null
          ? `did not end within ${SCRIPT_LIMIT_MS / 1000} s`
          : `cannot be run: ${codeText(code)}`;
    const [said = ''] = stderr.trim().split('\n').slice(-1);
    throw new NetworkError(`script ${script} for interface ${name} ${how}${said && `: ${said}`}`);
  }
}

/**
 * Opens a queue of a macvtap interface, by its device node.
 * @param queues number of its queues. @throws NetworkError
 */
export function openMacvtapQueue(node: string, name: string, header: boolean, queues: number): number {
  const fd = openNode(node, `macvtap interface ${name}`);
  try {
    attach(fd, name, header, queues);
    if (header) setHeader(fd, name);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

type OpenTap = Wire & { readonly existed: boolean };

/** @param name null lets the kernel choose one */
function openInterface(name: string | null, queues: number, header: boolean): OpenTap {
  const existed = name !== null && exists(name);
  const fds: number[] = [];
  let label = name ?? 'tap%d';
  try {
    for (let queue = 0; queue < queues; queue++) {
      const fd = openTun(label);
      fds.push(fd);
      label = attach(fd, label, header, queues);
      if (header) setHeader(fd, label);
    }
    return { fds, header: header ? 'virtio' : 'none', label, interface: label, existed };
  } catch (error) {
    for (const fd of fds) libc.close(fd);
    throw error;
  }
}

/** Makes an fd a queue of an interface. @returns the interface's name */
function attach(fd: number, name: string, header: boolean, queues: number): string {
  const flags = IFF_TAP | IFF_NO_PI | (header ? IFF_VNET_HDR : 0);
  const request = ifreq(name);
  const set = (more: number) => {
    ifreqValue(request).setUint16(0, flags | more, true);
    libc.ioctl(fd, 'TUNSETIFF', TUNSETIFF, request);
    return ifreqName(request);
  };
  try {
    return set(queues > 1 ? IFF_MULTI_QUEUE : 0);
  } catch (error) {
    const isOtherKind = isErrno(error, constants.errno.EINVAL) && exists(name);
    if (!isOtherKind) throw refused(name, error as libc.SystemError);
    if (queues > 1)
      throw new NetworkError(
        `TAP interface ${name} has one queue, and ${queues} are wanted: create it with \`ip tuntap add dev ${name} mode tap multi_queue\`, or give the card one queue`,
        { cause: error },
      );
  }
  // A persistent interface may have been created with several queues.
  try {
    return set(IFF_MULTI_QUEUE);
  } catch (error) {
    throw refused(name, error as libc.SystemError);
  }
}

function openTun(name: string): number {
  return openNode('/dev/net/tun', name.includes('%') ? 'a TAP interface' : `TAP interface ${name}`);
}

function openNode(node: string, what: string): number {
  try {
    return libc.open(node, libc.O_RDWR | libc.O_NONBLOCK);
  } catch (error) {
    const { ENOENT, ENODEV } = constants.errno;
    const isMissing = isErrno(error, ENOENT) || isErrno(error, ENODEV);
    const advice =
      isMissing && node === '/dev/net/tun'
        ? 'this host has no /dev/net/tun: load it with `modprobe tun`'
        : `${node}: ${codeText((error as libc.SystemError).code)}`;
    throw new NetworkError(`${what} cannot be opened: ${advice}`, { cause: error });
  }
}

function refused(name: string, error: libc.SystemError): NetworkError {
  return new NetworkError(`${nameText(name)} cannot be opened: ${adviceFor(name, error)}`, { cause: error });
}

function nameText(name: string): string {
  return name.includes('%') ? 'a new TAP interface' : `TAP interface ${name}`;
}

function adviceFor(name: string, { errno, code }: libc.SystemError): string {
  const { EPERM, EBUSY, EINVAL, E2BIG } = constants.errno;
  if (errno === EBUSY) return 'another program uses it: stop that, or choose another interface';
  if (errno === E2BIG) return 'the kernel has no more queues for it';
  if (errno === EINVAL) return 'it is no TAP interface, or of another kind: ip -details link shows it';
  if (errno !== EPERM) return code;
  return name.includes('%')
    ? 'creating one requires root (CAP_NET_ADMIN): have root create one for this user (`ip tuntap add dev tap0 mode tap user NAME`), and name it'
    : `it is not this user's: have root create it (\`ip tuntap add dev ${name} mode tap user NAME\`), or use another one`;
}

function setHeader(fd: number, name: string): void {
  const size = new Uint8Array(Int32Array.of(HEADER_BYTES).buffer);
  try {
    libc.ioctl(fd, 'TUNSETVNETHDRSZ', TUNSETVNETHDRSZ, size);
  } catch (error) {
    throw new NetworkError(`TAP interface ${name}: the kernel cannot pass headers of ${HEADER_BYTES} bytes`, {
      cause: error,
    });
  }
}

/** fds inherited by this process: queues of one TAP interface, or sockets that keep the boundaries of frames. */
function adoptFds(given: readonly number[]): OpenTap {
  const fds: number[] = [];
  try {
    for (const fd of given) fds.push(duplicateFd(fd));
    for (const fd of fds) libc.setNonblocking(fd);
    const kinds = fds.map((fd, index) => kindOf(fd, given[index]!));
    const [first] = kinds;
    if (kinds.some(({ name, header }) => name !== first!.name || header !== first!.header))
      throw new NetworkError(`fds ${given.join(', ')} are not of one TAP interface`);
    const { name, header } = first!;
    return {
      ...{ fds, header, label: name ?? `fd ${given[0]}`, existed: true },
      ...(name !== null && { interface: name }),
    };
  } catch (error) {
    for (const fd of fds) libc.close(fd);
    throw error;
  }
}

function duplicateFd(fd: number): number {
  try {
    return libc.duplicate(fd);
  } catch (error) {
    throw new NetworkError(`fd ${fd} is not open in the process that starts the VM`, { cause: error });
  }
}

type Kind = { readonly name: string | null; readonly header: Wire['header'] };

function kindOf(fd: number, given: number): Kind {
  const request = ifreq('');
  if (libc.tryIoctl(fd, TUNGETIFF, request) < 0) {
    if (fstatSync(fd).isSocket() && keepsBoundaries(fd)) return { name: null, header: 'none' };
    throw new NetworkError(`fd ${given} is neither a TAP interface nor a socket of packets`);
  }
  const name = ifreqName(request);
  const flags = ifreqValue(request).getUint16(0, true);
  if (!(flags & IFF_TAP) || !(flags & IFF_NO_PI))
    throw new NetworkError(
      `fd ${given} (${name}) is no TAP interface without packet information (IFF_TAP, IFF_NO_PI)`,
    );
  if (!(flags & IFF_VNET_HDR)) return { name, header: 'none' };
  const size = new Int32Array(1);
  libc.ioctl(fd, 'TUNGETVNETHDRSZ', TUNGETVNETHDRSZ, new Uint8Array(size.buffer));
  if (size[0] !== HEADER_BYTES) setHeader(fd, name);
  return { name, header: 'virtio' };
}

/** Whether SO_TYPE (socket(7)) is SOCK_DGRAM or SOCK_SEQPACKET. */
function keepsBoundaries(fd: number): boolean {
  const type = new Int32Array(1);
  libc.getSocketOption(fd, 'SO_TYPE', SOL_SOCKET, SO_TYPE, new Uint8Array(type.buffer));
  return type[0] === libc.SOCK_DGRAM || type[0] === libc.SOCK_SEQPACKET;
}

const SOL_SOCKET = 1;
const SO_TYPE = 3;
