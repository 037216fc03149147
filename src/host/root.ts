import fs from 'node:fs';
import path from 'node:path';
import { liveAddresses, liveDeviceNumber, liveNode, liveSshConnections, runCommand } from './live-facts.ts';
import {
  type CommandResult,
  type DeviceNode,
  factsPath,
  factsSchema,
  type HostFacts,
} from './recorded-facts.ts';

/** Something exists but cannot be read: the message names it and the reason. */
export class HostReadError extends Error {
  readonly path: string;
  readonly code: string;

  constructor(hostPath: string, cause: NodeJS.ErrnoException) {
    super(`cannot read ${hostPath}: ${reasonText(cause)}`, { cause });
    this.name = 'HostReadError';
    this.path = hostPath;
    this.code = cause.code ?? 'EIO';
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied: run as root',
  EPERM: 'permission denied: run as root',
  EISDIR: 'it is a directory, not a file: move it away',
  ELOOP: 'its symbolic links form a loop: fix or remove them',
  ESPIPE: 'it is a FIFO, not a file: move it away',
};

function reasonText({ code = '', message }: NodeJS.ErrnoException): string {
  return reasons[code] ?? message;
}

const noFacts: HostFacts = {
  version: 1,
  recordedAt: '',
  nodes: [],
  addresses: {},
  sshConnections: [],
  commands: {},
  unreadable: {},
  networkConfig: false,
};

/** Errors that mean it does not exist: a sysfs attribute may also vanish between list and read. */
const missing = new Set(['ENOENT', 'ENOTDIR', 'ENODEV', 'ENXIO']);
/** Errors that drivers return for an attribute without a value. */
const refused = new Set(['EINVAL', 'EIO', 'ENODATA', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EBUSY']);
const maxLinks = 40;
/** A component of a path that is empty, `.` or `..`. */
const NOT_NORMAL = /\/(?:\/|\.{1,2}(?:\/|$))/;
const MAX_PLAIN_DIRECTORIES = 65_536;
const defaultLimit = 1 << 20;

/**
 * The host, or a recording of one: every path is absolute within it. Links of a recorded tree are followed inside
 * the tree, including absolute ones, so that no file of this machine is read. What is missing reads as null; what
 * exists but cannot be read throws a {@link HostReadError}.
 */
export class HostRoot {
  readonly path: string;
  /** True for the running system; false for a recorded tree, which cannot be changed. */
  readonly live: boolean;
  #facts: HostFacts | null = null;
  /** Directories of a recorded tree that are known to have no link in their paths. */
  readonly #plainDirectories = new Set<string>();

  constructor(rootPath = '/') {
    this.path = fs.realpathSync.native(rootPath);
    this.live = this.path === '/';
  }

  /** The whole text of a file, at most `limit` bytes of it. */
  text(hostPath: string, limit = defaultLimit): string | null {
    return this.withFile(hostPath, read => readAll(read, limit).toString('utf8'));
  }

  /** A sysfs attribute without its newline; null also if its driver has no value for it. */
  attribute(hostPath: string): string | null {
    try {
      return this.text(hostPath, 65_536)?.trim() ?? null;
    } catch (error) {
      if (error instanceof HostReadError && refused.has(error.code)) return null;
      throw error;
    }
  }

  bytes(hostPath: string, limit = defaultLimit): Buffer | null {
    return this.withFile(hostPath, read => Buffer.from(readAll(read, limit)));
  }

  /** Opens a file for reads at chosen offsets; `read` returns the count of bytes, 0 at the end. */
  withFile<T>(hostPath: string, use: (read: (into: Buffer, offset: number) => number) => T): T | null {
    return this.#guard(hostPath, () => {
      const fd = this.#open(hostPath);
      try {
        return use((into, offset) => fs.readSync(fd, into, 0, into.length, offset));
      } finally {
        fs.closeSync(fd);
      }
    });
  }

  /** Names in a directory, in byte order. */
  list(hostPath: string): string[] | null {
    return this.#guard(hostPath, () => fs.readdirSync(this.#directory(hostPath)).sort());
  }

  /** Names of the real directories in a directory, in byte order, without links to directories. */
  subdirectories(hostPath: string): string[] | null {
    return this.#guard(hostPath, () =>
      fs
        .readdirSync(this.#directory(hostPath), { withFileTypes: true })
        .filter(entry => entry.isDirectory())
        .map(entry => entry.name)
        .sort(),
    );
  }

  /** The target of a link as written; null if it is missing or not a link. */
  link(hostPath: string): string | null {
    try {
      return this.#guard(hostPath, () => fs.readlinkSync(this.#resolveParent(hostPath)));
    } catch (error) {
      if (error instanceof HostReadError && error.code === 'EINVAL') return null;
      throw error;
    }
  }

  /** The last component of a link's target: how sysfs names a device's driver, group or module. */
  linkName(hostPath: string): string | null {
    const target = this.link(hostPath);
    return target === null ? null : path.posix.basename(target);
  }

  /** Whether there is a file, directory or device; a link loop leads to none. */
  exists(hostPath: string): boolean {
    try {
      const stat = this.#guard(hostPath, () =>
        fs.statSync(this.resolve(hostPath), { throwIfNoEntry: false }),
      );
      return stat != null;
    } catch (error) {
      if (error instanceof HostReadError && error.code === 'ELOOP') return false;
      throw error;
    }
  }

  /** The path without any link in it, as seen within the root. */
  real(hostPath: string): string | null {
    return this.#guard(hostPath, () => {
      const resolved = this.resolve(hostPath);
      const real = this.live ? fs.realpathSync.native(resolved) : resolved;
      fs.lstatSync(real);
      return this.live ? real : `/${path.relative(this.path, real)}`;
    });
  }

  /** The path on this machine of a path of the host, with links followed within the root. */
  resolve(hostPath: string): string {
    if (this.live) return hostPath;
    const direct = this.#within(hostPath);
    if (this.#isPlain(parentOf(direct)) && !isLink(direct)) return direct;
    const real = realPath(direct);
    if (real !== null && this.#contains(real)) return real;
    // The path leads out of the tree, or does not exist. Inside the tree, its links may lead to a file.
    return this.#walk(hostPath);
  }

  /** A device node under /dev, or null. */
  node(hostPath: string): DeviceNode | null {
    if (this.live) return liveNode(hostPath);
    return this.facts().nodes.find(node => node.path === hostPath) ?? null;
  }

  /** `major:minor` of the device at a path; null for anything else, and in a recorded tree. */
  deviceNumber(hostPath: string): string | null {
    return this.live ? liveDeviceNumber(hostPath) : null;
  }

  /** The device nodes directly in a directory of /dev. */
  nodes(directory: string): DeviceNode[] {
    if (!this.live) return this.facts().nodes.filter(node => path.posix.dirname(node.path) === directory);
    const names = this.list(directory) ?? [];
    return names.map(name => liveNode(`${directory}/${name}`)).filter(node => node !== null);
  }

  /** Addresses with prefix length by interface. */
  addresses(): Readonly<Record<string, readonly string[]>> {
    return this.live ? liveAddresses() : this.facts().addresses;
  }

  /** `client port server port` of each SSH session that this process descends from. */
  sshConnections(): readonly string[] {
    return this.live ? liveSshConnections() : this.facts().sshConnections;
  }

  /** Runs a command that only reads; null if it is not installed, or was not recorded. */
  async query(...argv: [string, ...string[]]): Promise<CommandResult | null> {
    return this.live ? await runCommand(argv, 10_000) : (this.facts().commands[argv.join(' ')] ?? null);
  }

  /** False for a recording without the configuration of network managers. */
  hasNetworkConfig(): boolean {
    return this.live || this.facts().networkConfig;
  }

  /** The recorded facts; a tree without any has none. */
  facts(): HostFacts {
    this.#facts ??= this.#readFacts();
    return this.#facts;
  }

  /** `resolve` for a directory; its files are usually read next. */
  #directory(hostPath: string): string {
    if (this.live) return hostPath;
    const direct = this.#within(hostPath);
    return this.#isPlain(direct) ? direct : this.resolve(hostPath);
  }

  /** A path of the host below the root, links as they are. */
  #within(hostPath: string): string {
    const plain = hostPath.startsWith('/') && !NOT_NORMAL.test(hostPath);
    return plain ? this.path + hostPath : path.join(this.path, hostPath);
  }

  #open(hostPath: string): number {
    const fd = this.#openAny(hostPath);
    // sysfs and /proc, the source of most reads, have no FIFOs.
    if (hostPath.startsWith('/sys/') || hostPath.startsWith('/proc/') || !fs.fstatSync(fd).isFIFO())
      return fd;
    fs.closeSync(fd);
    throw Object.assign(new Error('a FIFO'), { code: 'ESPIPE' });
  }

  /** Does not wait for a writer if it is a FIFO. */
  #openAny(hostPath: string): number {
    const flags = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK;
    if (this.live) return fs.openSync(hostPath, flags);
    const direct = this.#within(hostPath);
    if (this.#isPlain(parentOf(direct))) {
      try {
        return fs.openSync(direct, flags | fs.constants.O_NOFOLLOW);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ELOOP') throw error;
      }
    }
    return fs.openSync(this.resolve(hostPath), flags);
  }

  /** Most reads are of many files in one directory: it is resolved once, and its files are only checked for links. */
  #isPlain(directory: string): boolean {
    if (this.#plainDirectories.has(directory)) return true;
    if (!this.#contains(directory) || realPath(directory) !== directory) return false;
    if (this.#plainDirectories.size >= MAX_PLAIN_DIRECTORIES) this.#plainDirectories.clear();
    this.#plainDirectories.add(directory);
    return true;
  }

  #contains(machinePath: string): boolean {
    return machinePath === this.path || machinePath.startsWith(`${this.path}/`);
  }

  #readFacts(): HostFacts {
    const text = this.text(factsPath, 64 << 20);
    if (text === null) {
      return noFacts;
    }
    try {
      return factsSchema.parse(JSON.parse(text));
    } catch (cause) {
      throw new Error(
        `${this.path}${factsPath} is not a valid recording of this version: record the host again`,
        {
          cause,
        },
      );
    }
  }

  /** Follows links in all but the last component. */
  #resolveParent(hostPath: string): string {
    if (this.live) return hostPath;
    const direct = this.#within(hostPath);
    if (this.#isPlain(parentOf(direct))) return direct;
    return path.join(this.resolve(path.posix.dirname(hostPath)), path.posix.basename(hostPath));
  }

  /** Follows links one component at a time; `..` stops at the root, as in chroot(2). */
  #walk(hostPath: string): string {
    let pending = hostPath.split('/').filter(Boolean);
    let done: string[] = [];
    let links = 0;
    while (pending.length > 0) {
      const [name, ...rest] = pending as [string, ...string[]];
      pending = rest;
      if (name === '.') continue;
      if (name === '..') {
        done.pop();
        continue;
      }
      const target = readLink(path.join(this.path, ...done, name));
      if (target === null) {
        done.push(name);
        continue;
      }
      if (++links > maxLinks) {
        throw Object.assign(new Error('too many levels of symbolic links'), { code: 'ELOOP' });
      }
      if (target.startsWith('/')) done = [];
      pending = [...target.split('/').filter(Boolean), ...pending];
    }
    return path.join(this.path, ...done);
  }

  #guard<T>(hostPath: string, read: () => T): T | null {
    const recorded = this.live || hostPath === factsPath ? undefined : this.facts().unreadable[hostPath];
    if (recorded) throw new HostReadError(hostPath, Object.assign(new Error(recorded), { code: recorded }));
    try {
      return read();
    } catch (error) {
      const cause = error as NodeJS.ErrnoException;
      if (missing.has(cause.code ?? '')) return null;
      if (cause.code === undefined) throw error;
      throw new HostReadError(hostPath, cause);
    }
  }
}

/** Shared by all reads, which are synchronous; most files fit. */
const scratch = Buffer.allocUnsafe(16_384);

/**
 * Everything up to `limit`, valid until the next read. The size of a /proc or sysfs file is not known in
 * advance, and reads may be short: only an empty read is the end.
 */
function readAll(read: (into: Buffer, offset: number) => number, limit: number): Buffer {
  const small = scratch.subarray(0, Math.min(limit, scratch.length));
  const length = fill(read, small, 0);
  if (length < small.length || length === limit) return small.subarray(0, length);
  const chunks = [Buffer.from(small)];
  for (let total = length; total < limit; ) {
    const chunk = Buffer.allocUnsafe(Math.min(1 << 20, limit - total));
    const count = fill(read, chunk, total);
    chunks.push(chunk.subarray(0, count));
    total += count;
    if (count < chunk.length) break;
  }
  return Buffer.concat(chunks);
}

/** @returns the number of bytes, less than the size of the buffer only at the end of the file */
function fill(read: (into: Buffer, offset: number) => number, into: Buffer, start: number): number {
  let filled = 0;
  while (filled < into.length) {
    const count = read(into.subarray(filled), start + filled);
    if (count === 0) break;
    filled += count;
  }
  return filled;
}

/** `path.dirname` of an absolute path without a slash at its end. */
function parentOf(absolute: string): string {
  return absolute.slice(0, absolute.lastIndexOf('/')) || '/';
}

function realPath(machinePath: string): string | null {
  try {
    return fs.realpathSync.native(machinePath);
  } catch {
    return null;
  }
}

function isLink(machinePath: string): boolean {
  return fs.lstatSync(machinePath, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function readLink(hostPath: string): string | null {
  try {
    return fs.readlinkSync(hostPath);
  } catch {
    return null;
  }
}
