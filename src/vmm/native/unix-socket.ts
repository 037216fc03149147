import { constants } from 'node:os';
import { Struct } from '../kvm/c-struct.ts';
import * as libc from './libc.ts';

/** struct msghdr, struct iovec and struct cmsghdr (recvmsg(2), cmsg(3)). */
const msghdr = new Struct('struct msghdr', {
  name: 'u64',
  nameLength: 'u32',
  gap: { padding: 4 },
  parts: 'u64',
  partCount: 'u64',
  control: 'u64',
  controlLength: 'u64',
  flags: 's32',
});
const iovec = new Struct('struct iovec', { base: 'u64', length: 'u64' });
const cmsghdr = new Struct('struct cmsghdr', { length: 'u64', level: 's32', type: 's32' });
const ucred = new Struct('struct ucred', { pid: 's32', uid: 'u32', gid: 'u32' });
const pollfd = new Struct('struct pollfd', { fd: 's32', events: 'u16', revents: 'u16' });

/** unix(7) and socket(7). */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 8;

/** For 64 devices, three each; the kernel's own limit is 253 (SCM_MAX_FD). */
export const MAX_FDS = 192;

/** Offsets of the structures in a separate page, and of the data after it. */
const AT = { message: 0, part: 64, control: 128, data: 4096 } as const;
const DATA_BYTES = 64 * 1024;

export type Received =
  | { readonly kind: 'data'; readonly bytes: Uint8Array; readonly fds: readonly number[] }
  /** Nothing more for now. */
  | { readonly kind: 'empty' }
  /** The peer has closed the connection, or it broke. */
  | { readonly kind: 'closed' };

/** Memory for one message at a time, with a fixed address for the kernel. Allocated by the first use in each thread. */
class MessageBuffer {
  readonly #address = libc.mmap(
    AT.data + DATA_BYTES,
    libc.PROT_READ | libc.PROT_WRITE,
    libc.MAP_PRIVATE | libc.MAP_ANONYMOUS,
    -1,
  );
  readonly #memory = new Uint8Array(libc.viewOf(this.#address, AT.data + DATA_BYTES));
  readonly #view = new DataView(this.#memory.buffer);

  /** @returns how many bytes were sent, 0 if the socket is full; null if the connection is broken */
  send(fd: number, bytes: Uint8Array, fds: readonly number[]): number | null {
    const length = Math.min(bytes.length, DATA_BYTES);
    this.#memory.set(bytes.subarray(0, length), AT.data);
    const controlLength = fds.length === 0 ? 0 : cmsghdr.size + fds.length * 4;
    if (fds.length > 0) {
      cmsghdr.write(
        this.#memory,
        { length: BigInt(controlLength), level: SOL_SOCKET, type: SCM_RIGHTS },
        AT.control,
      );
      for (const [index, each] of fds.entries())
        this.#view.setInt32(AT.control + cmsghdr.size + index * 4, each, true);
    }
    this.#describe(length, Math.ceil(controlLength / 8) * 8, controlLength);
    const sent = libc.trySendMessage(fd, this.#address, libc.MSG_DONTWAIT | libc.MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    return isTemporary(-sent) ? 0 : null;
  }

  receive(fd: number): Received {
    const room = cmsghdr.size + MAX_FDS * 4;
    this.#describe(DATA_BYTES, room, room);
    const count = libc.tryReceiveMessage(fd, this.#address, libc.MSG_DONTWAIT | libc.MSG_CMSG_CLOEXEC);
    if (count < 0) return isTemporary(-count) ? { kind: 'empty' } : { kind: 'closed' };
    const fds = this.#receivedFds();
    if (count === 0) {
      for (const each of fds) libc.close(each);
      return { kind: 'closed' };
    }
    return { kind: 'data', bytes: this.#memory.slice(AT.data, AT.data + count), fds };
  }

  /** @param controlLength bytes of ancillary data @param space the same with padding */
  #describe(length: number, space: number, controlLength: number): void {
    iovec.write(this.#memory, { base: this.#address + BigInt(AT.data), length: BigInt(length) }, AT.part);
    msghdr.write(
      this.#memory,
      {
        name: 0n,
        nameLength: 0,
        parts: this.#address + BigInt(AT.part),
        partCount: 1n,
        control: space === 0 ? 0n : this.#address + BigInt(AT.control),
        controlLength: BigInt(controlLength),
        flags: 0,
      },
      AT.message,
    );
  }

  #receivedFds(): number[] {
    const { controlLength, flags } = msghdr.read(this.#memory, AT.message);
    if (controlLength < BigInt(cmsghdr.size)) return [];
    const { length, level, type } = cmsghdr.read(this.#memory, AT.control);
    if (level !== SOL_SOCKET || type !== SCM_RIGHTS) return [];
    const count = (Number(length) - cmsghdr.size) >> 2;
    const fds = Array.from({ length: Math.min(count, MAX_FDS) }, (_, index) =>
      this.#view.getInt32(AT.control + cmsghdr.size + index * 4, true),
    );
    if ((flags & MSG_CTRUNC) === 0) return fds;
    // Some did not fit, or this process has reached its limit: the others are useless without them.
    for (const each of fds) libc.close(each);
    return [];
  }
}

let buffer: MessageBuffer | null = null;

function messageBuffer(): MessageBuffer {
  buffer ??= new MessageBuffer();
  return buffer;
}

/**
 * Sends what the socket takes now, with `fds` as SCM_RIGHTS if it takes at least one byte.
 * @returns how many bytes that were, 0 if the socket is full; null if the connection is broken
 */
export function sendNow(fd: number, bytes: Uint8Array, fds: readonly number[] = []): number | null {
  return messageBuffer().send(fd, bytes, fds);
}

/** Receives what has arrived, at most 64 KiB, and its fds, which the caller takes over. Does not block. */
export function receiveNow(fd: number): Received {
  return messageBuffer().receive(fd);
}

/**
 * The process at a Unix socket's other end, as the kernel recorded it at connect(2), or at the other end's listen(2).
 */
export type PeerCredentials = { readonly pid: number; readonly uid: number; readonly gid: number };

export function credentialsOfPeer(fd: number): PeerCredentials {
  const value = new Uint8Array(ucred.size);
  libc.getSocketOption(fd, 'SO_PEERCRED', SOL_SOCKET, SO_PEERCRED, value);
  return ucred.read(value);
}

/** An fd that a thread without an event loop waits for. */
export type Awaited = { readonly fd: number; readonly writable?: boolean };

/**
 * Blocks until one of `fds` is ready, or hung up.
 * @returns those that are; empty after the timeout, or an interruption
 */
export function waitForFds(awaited: readonly Awaited[], timeoutMs = -1): number[] {
  const bytes = new Uint8Array(awaited.length * pollfd.size);
  awaited.forEach(({ fd, writable = false }, index) => {
    const events = libc.POLLIN | (writable ? libc.POLLOUT : 0);
    pollfd.write(bytes, { fd, events, revents: 0 }, index * pollfd.size);
  });
  if (libc.poll(bytes, awaited.length, timeoutMs) === 0) return [];
  return awaited.flatMap(({ fd }, index) =>
    pollfd.read(bytes, index * pollfd.size).revents === 0 ? [] : [fd],
  );
}

/** struct sockaddr_un (unix(7)). An abstract address starts with a zero byte, written as "@" here, as in systemd. */
export function unixAddress(path: string): Uint8Array {
  const address = Buffer.alloc(2 + Buffer.byteLength(path) + 1);
  address.writeUInt16LE(libc.AF_UNIX);
  address.write(path, 2);
  if (!path.startsWith('@')) return address;
  address[2] = 0;
  return address.subarray(0, -1);
}

function isTemporary(errno: number): boolean {
  const { EAGAIN, EINTR, ENOBUFS, ENOMEM } = constants.errno;
  return errno === EAGAIN || errno === EINTR || errno === ENOBUFS || errno === ENOMEM;
}
