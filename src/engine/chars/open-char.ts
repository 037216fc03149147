import { chmodSync, constants, lstatSync, openSync, readlinkSync, unlinkSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import { type CharOptions, needsFiles } from '../../devices/backends/char.ts';
import type { OpenedChar } from '../../vmm/backends/char/opened-char.ts';
import * as libc from '../../vmm/native/libc.ts';
import { unixAddress } from '../../vmm/native/unix-socket.ts';

const { O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK, O_RDWR, O_TRUNC, O_WRONLY } = constants;
const AF_INET = 2;
const AF_INET6 = 10;
/** ioctl requests of pseudoterminals (asm-generic/ioctls.h). */
const TIOCSPTLCK = 0x4004_5431;
const TIOCGPTN = 0x8004_5430;
const TCGETS = 0x5401;
const TCSETS = 0x5402;
/** struct termios (asm-generic/termbits.h): four 32-bit words of flags, the line discipline, and 19 characters. */
const TERMIOS_BYTES = 36;
/** The input, output, control and local mode bits that cfmakeraw(3) clears, and CS8, which it sets. */
const NOT_RAW = [0o2753, 0o1, 0o460, 0o100113] as const;
const CS8 = 0o60;
const OWNER_ONLY = '600';

/** A character back end that cannot be opened; the message tells the user why, and what to do. */
export class CharError extends Error {
  override readonly name = 'CharError';
}

/** Opens a character device's back end, in a process that has the host's files and network. @throws CharError */
export function openChar(options: CharOptions): OpenedChar | null {
  if (!needsFiles(options)) return null;
  const log = 'logfile' in options && options.logfile !== undefined ? openFile(options.logfile, true) : null;
  try {
    return { ...openEnd(options), log };
  } catch (error) {
    if (log !== null) libc.close(log);
    throw error;
  }
}

function openEnd(options: CharOptions): Omit<OpenedChar, 'log'> {
  switch (options.type) {
    case 'pty':
      return openPty();
    case 'unix':
      return { ...openUnix(options), label: '' };
    case 'tcp':
      return { ...openTcp(options), label: '' };
    case 'file':
      return { file: 'file', fd: openFile(options.path, options.append), label: '' };
    default:
      return { file: 'none', fd: null, label: '' };
  }
}

/** The master of a new pseudoterminal in raw mode. */
function openPty(): Omit<OpenedChar, 'log'> {
  const fd = tried('/dev/ptmx', () => openSync('/dev/ptmx', O_RDWR | O_NOCTTY | O_NONBLOCK));
  try {
    const number = new Uint8Array(4);
    libc.ioctl(fd, 'TIOCSPTLCK', TIOCSPTLCK, number);
    const termios = new Uint8Array(TERMIOS_BYTES);
    libc.ioctl(fd, 'TCGETS', TCGETS, termios);
    const modes = new DataView(termios.buffer);
    for (const [index, bits] of NOT_RAW.entries())
      modes.setUint32(4 * index, (modes.getUint32(4 * index, true) & ~bits) | (index === 2 ? CS8 : 0), true);
    libc.ioctl(fd, 'TCSETS', TCSETS, termios);
    libc.ioctl(fd, 'TIOCGPTN', TIOCGPTN, number);
    const path = `/dev/pts/${new DataView(number.buffer).getUint32(0, true)}`;
    // Once the slave has been opened and closed, the master can tell whether a program has it open.
    libc.close(openSync(path, O_RDWR | O_NOCTTY));
    return { file: 'pty', fd, label: path };
  } catch (error) {
    libc.close(fd);
    throw new CharError(`no pseudoterminal: ${(error as Error).message}`);
  }
}

function openUnix({ path, server, mode = OWNER_ONLY }: Extract<CharOptions, { type: 'unix' }>) {
  const fd = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM);
  try {
    const address = unixAddress(path);
    if (!server) {
      tried(path, () => libc.connect(fd, path, address), 'start the program that listens there first');
      libc.setNonblocking(fd);
      return { file: 'stream', fd } as const;
    }
    removeStale(path, address);
    // No other user may connect before the permissions are set.
    const umask = process.umask(0o177);
    try {
      tried(path, () => libc.bind(fd, path, address));
    } finally {
      process.umask(umask);
    }
    chmodSync(path, Number.parseInt(mode, 8));
    libc.listen(fd, 1);
    libc.setNonblocking(fd);
    return { file: 'listener', fd } as const;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** Removes a stale socket that no process listens on. @throws CharError when something else is there */
function removeStale(path: string, address: Uint8Array): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw new CharError(`${path} exists and is not a socket: choose another path`);
  const fd = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM);
  try {
    libc.connect(fd, path, address);
  } catch (error) {
    if (!(error instanceof libc.SystemError) || error.code !== 'ECONNREFUSED') throw error;
    unlinkSync(path);
    return;
  } finally {
    libc.close(fd);
  }
  throw new CharError(`another program listens on ${path}: choose another path`);
}

function openTcp({ host, port, server }: Extract<CharOptions, { type: 'tcp' }>) {
  const address = tcpAddress(host, port);
  const fd = libc.socket(address.domain, libc.SOCK_STREAM);
  const where = `${host}:${port}`;
  try {
    if (!server) {
      tried(
        where,
        () => libc.connect(fd, where, address.bytes),
        'start the program that listens there first',
      );
      libc.setNonblocking(fd);
      return { file: 'stream', fd } as const;
    }
    libc.reuseAddress(fd);
    tried(where, () => libc.bind(fd, where, address.bytes), 'choose another port');
    libc.listen(fd, 1);
    libc.setNonblocking(fd);
    return { file: 'listener', fd } as const;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** struct sockaddr_in or sockaddr_in6. @throws CharError */
function tcpAddress(given: string, port: number): { readonly domain: number; readonly bytes: Uint8Array } {
  const host = given === 'localhost' ? '127.0.0.1' : given;
  if (isIPv4(host)) {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, AF_INET, true);
    view.setUint16(2, port);
    bytes.set(host.split('.').map(Number), 4);
    return { domain: AF_INET, bytes };
  }
  if (host !== '::1' && host !== '::') {
    const known = isIPv6(host)
      ? 'of IPv6 addresses, ::1 and :: are supported'
      : 'give an address, such as 127.0.0.1';
    throw new CharError(`${host}: ${known}`);
  }
  const bytes = new Uint8Array(28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET6, true);
  view.setUint16(2, port);
  if (host === '::1') bytes[23] = 1;
  return { domain: AF_INET6, bytes };
}

function openFile(path: string, append: boolean): number {
  const flags = O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK | (append ? O_APPEND : O_TRUNC);
  const fd = tried(path, () => openSync(path, flags, 0o600), 'choose another file');
  if (lstatSync(readlinkSync(`/proc/self/fd/${fd}`), { throwIfNoEntry: false })?.isFile()) return fd;
  libc.close(fd);
  throw new CharError(`${path} is not a file: choose another path`);
}

/** @throws CharError with the thing and the reason */
function tried<Result>(what: string, action: () => Result, advice?: string): Result {
  try {
    return action();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = REASONS[code ?? ''] ?? message;
    throw new CharError(`${what}: ${reason}${advice === undefined ? '' : `; ${advice}`}`);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'permission denied',
  ECONNREFUSED: 'no program listens there',
  EADDRINUSE: 'another program uses it',
  EADDRNOTAVAIL: 'the host has no such address',
  EISDIR: 'it is a folder',
};
