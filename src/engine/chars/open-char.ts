import { chmodSync, constants, lstatSync, openSync, readlinkSync, unlinkSync } from 'node:fs';
import { type CharOptions, needsFiles } from '../../devices/backends/char.ts';
import { codeText } from '../../text/errno.ts';
import { own } from '../../text/own.ts';
import type { OpenedChar } from '../../vmm/backends/char/opened-char.ts';
import { connectSocket } from '../../vmm/native/connect-socket.ts';
import * as libc from '../../vmm/native/libc.ts';
import { unixAddress } from '../../vmm/native/unix-socket.ts';
import { portFailure } from '../networks/port-failure.ts';
import { socketAddress } from './socket-address.ts';

const { O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK, O_RDWR, O_TRUNC, O_WRONLY } = constants;
/** sun_family, 107 bytes and a zero byte (unix(7)). */
const LONGEST_UNIX_ADDRESS = 110;
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
export async function openChar(options: CharOptions): Promise<OpenedChar | null> {
  if (!needsFiles(options)) return null;
  const log = 'logfile' in options && options.logfile !== undefined ? openFile(options.logfile, true) : null;
  try {
    return { ...(await openEnd(options)), log };
  } catch (error) {
    if (log !== null) libc.close(log);
    throw error;
  }
}

async function openEnd(options: CharOptions): Promise<Omit<OpenedChar, 'log'>> {
  switch (options.type) {
    case 'pty':
      return openPty();
    case 'unix':
      return { ...(await openUnix(options)), label: '' };
    case 'tcp':
      return { ...(await openTcp(options)), label: '' };
    case 'file':
      return { file: 'file', fd: openFile(options.path, options.append), label: '' };
    default:
      return { file: 'none', fd: null, label: '' };
  }
}

/** The master of a new pseudoterminal in raw mode. */
function openPty(): Omit<OpenedChar, 'log'> {
  const fd = tried('no pseudoterminal', {}, () => openSync('/dev/ptmx', O_RDWR | O_NOCTTY | O_NONBLOCK));
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

async function openUnix({ path, server, mode = OWNER_ONLY }: Extract<CharOptions, { type: 'unix' }>) {
  const address = unixAddress(path);
  if (address.length > LONGEST_UNIX_ADDRESS)
    throw new CharError(`the path of the socket ${path} is longer than 107 bytes: choose a shorter one`);
  const fd = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM);
  try {
    if (!server) {
      await connectSocket(fd, path, address).catch(failed(`no connection to the socket ${path}`, CONNECTING));
      return { file: 'stream', fd } as const;
    }
    const what = `the socket ${path} cannot be created`;
    tried(what, CREATING, () => removeStale(path, address));
    // No other user may connect before the permissions are set.
    const umask = process.umask(0o177);
    try {
      tried(what, CREATING, () => libc.bind(fd, path, address));
    } finally {
      process.umask(umask);
    }
    if (!path.startsWith('@')) chmodSync(path, Number.parseInt(mode, 8));
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
  if (path.startsWith('@')) return; // its name is gone with its process
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw new CharError(`${path} exists and is not a socket: choose another path`);
  const fd = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM);
  try {
    // A listener with a full queue must not make this process wait.
    libc.setNonblocking(fd);
    libc.connect(fd, path, address);
  } catch (error) {
    const code = error instanceof libc.SystemError ? error.code : null;
    if (code === 'ECONNREFUSED') {
      unlinkSync(path);
      return;
    }
    if (code !== 'EAGAIN' && code !== 'EPROTOTYPE') throw error;
  } finally {
    libc.close(fd);
  }
  throw new CharError(`another program listens on ${path}: choose another path`);
}

async function openTcp({ host, port, server }: Extract<CharOptions, { type: 'tcp' }>) {
  const address = socketAddress(host === 'localhost' ? '127.0.0.1' : host, port);
  if (typeof address === 'string') throw new CharError(address);
  const fd = libc.socket(address.domain, libc.SOCK_STREAM);
  const where = `TCP port ${port} of ${host}`;
  try {
    if (!server) {
      await connectSocket(fd, where, address.bytes).catch(failed(`no connection to ${where}`, CONNECTING));
      return { file: 'stream', fd } as const;
    }
    libc.reuseAddress(fd);
    try {
      libc.bind(fd, where, address.bytes);
      libc.listen(fd, 1);
    } catch (error) {
      const code = error instanceof libc.SystemError ? error.code : undefined;
      const why = await portFailure({ protocol: 'tcp', address: host, number: port }, code);
      throw new CharError(`${where} cannot be opened: ${why}`);
    }
    libc.setNonblocking(fd);
    return { file: 'listener', fd } as const;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function openFile(path: string, append: boolean): number {
  const flags = O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK | (append ? O_APPEND : O_TRUNC);
  const fd = tried(`no output to ${path}`, WRITING, () => openSync(path, flags, 0o600));
  if (lstatSync(readlinkSync(`/proc/self/fd/${fd}`), { throwIfNoEntry: false })?.isFile()) return fd;
  libc.close(fd);
  throw new CharError(`no output to ${path}: it is not a regular file: choose another path`);
}

/** What the code of a failed call means for the user, and what to do. */
type Reasons = Readonly<Record<string, string>>;

const FOLDER: Reasons = {
  ENOENT: 'its folder does not exist: create it',
  ENOTDIR: 'what would be its folder is a file: choose another path',
  EACCES: 'this user may not create it there: choose another path',
  EROFS: 'its file system is read-only: choose another path',
};
const CREATING: Reasons = { ...FOLDER, EADDRINUSE: 'a file of this name was just created: try again' };
const WRITING: Reasons = {
  ...FOLDER,
  EACCES: 'this user may not write to it: choose another file',
  EISDIR: 'it is a folder: choose another file',
  ENXIO: 'it is not a regular file: choose another path',
  ETXTBSY: 'it is a program that is running: choose another file',
};
const CONNECTING: Reasons = {
  ENOENT: 'it does not exist: start the program that listens there first',
  EACCES: 'this user may not connect to it: choose another path',
  ECONNREFUSED: 'no program listens there: start the program that listens there first',
  EPROTOTYPE: 'its program does not accept stream connections: choose another path',
  ETIMEDOUT:
    'it was not accepted within 5 s: check whether its program or host is running, and firewalls between',
  ENETUNREACH: 'the host has no route to it: ip route shows its routes',
  EHOSTUNREACH: 'its host does not answer: check the address',
};

/** @throws CharError with the thing and the reason */
function tried<Result>(what: string, reasons: Reasons, action: () => Result): Result {
  try {
    return action();
  } catch (error) {
    return failed(what, reasons)(error);
  }
}

function failed(what: string, reasons: Reasons): (error: unknown) => never {
  return error => {
    if (error instanceof CharError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new CharError(`${what}: ${own(reasons, code ?? '') ?? codeText(code)}`);
  };
}
