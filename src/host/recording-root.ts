import fs from 'node:fs';
import path from 'node:path';
import { filterRecorded, isHardware, isOptional, isSecret, mayRecord } from './record-filters.ts';
import type { CommandResult, DeviceNode, HostFacts } from './recorded-facts.ts';
import { HostReadError, HostRoot } from './root.ts';

type Entry =
  | { readonly kind: 'file'; content: Buffer }
  | { readonly kind: 'directory' }
  | { readonly kind: 'link'; readonly target: string };

/** No reader needs more of one file than this. */
const fileLimit = 32 << 20;

/**
 * A root that records everything that is read through it, so that readers get the same answers from the recording,
 * which contains nothing else.
 */
export class RecordingRoot extends HostRoot {
  readonly entries = new Map<string, Entry>();
  /** Network interfaces of the host, once they are needed. */
  #interfaces: ReadonlySet<string> | null = null;
  readonly recorded: HostFacts = {
    version: 1,
    recordedAt: new Date().toISOString(),
    nodes: [],
    addresses: {},
    sshConnections: [],
    commands: {},
    unreadable: {},
    networkConfig: this.hasNetworkConfig(),
  };

  override withFile<T>(
    hostPath: string,
    use: (read: (into: Buffer, offset: number) => number) => T,
  ): T | null {
    return this.#notingDenied(hostPath, () =>
      super.withFile(hostPath, read => {
        const real = this.#remember(hostPath);
        let content: Buffer = Buffer.alloc(0);
        const result = use((into, offset) => {
          const count = read(into, offset);
          content = withBytes(content, into.subarray(0, count), offset);
          return count;
        });
        if (real !== null) this.#keepFile(real, filterRecorded(hostPath, content, this.#interfaceNames()));
        if (real !== null && isOptional(hostPath) && this.#isEmpty(real)) {
          this.entries.delete(real);
          this.entries.delete(hostPath);
        }
        return result;
      }),
    );
  }

  override list(hostPath: string): string[] | null {
    const names = this.#noting(hostPath, () => super.list(hostPath));
    if (names === null) return null;
    // Only processes that have a device open are recorded: see #keepLink.
    if (/^\/proc(\/\d|$)/.test(hostPath)) return names;
    const real = this.#remember(hostPath);
    // Links and directories are recorded even if only their names are read.
    if (real !== null) for (const name of names) this.#keepName(path.posix.join(real, name));
    return names;
  }

  override subdirectories(hostPath: string): string[] | null {
    this.list(hostPath);
    return super.subdirectories(hostPath);
  }

  override link(hostPath: string): string | null {
    const target = this.#noting(hostPath, () => super.link(hostPath));
    if (target !== null) this.#keepLink(hostPath, target);
    return target;
  }

  override exists(hostPath: string): boolean {
    const found = super.exists(hostPath);
    if (found) this.#remember(hostPath);
    return found;
  }

  override real(hostPath: string): string | null {
    const real = super.real(hostPath);
    if (real !== null) this.#remember(hostPath);
    return real;
  }

  override node(hostPath: string): DeviceNode | null {
    const node = super.node(hostPath);
    if (node) this.#keepNodes([node]);
    return node;
  }

  override nodes(directory: string): DeviceNode[] {
    const nodes = super.nodes(directory);
    this.#keepNodes(nodes);
    return nodes;
  }

  override addresses(): Readonly<Record<string, readonly string[]>> {
    const addresses = super.addresses();
    for (const [name, list] of Object.entries(addresses)) this.recorded.addresses[name] = [...list];
    return addresses;
  }

  override sshConnections(): readonly string[] {
    const connections = super.sshConnections();
    this.recorded.sshConnections = [...connections];
    return connections;
  }

  override async query(...argv: [string, ...string[]]): Promise<CommandResult | null> {
    const result = await super.query(...argv);
    if (result) this.recorded.commands[argv.join(' ')] = result;
    return result;
  }

  #interfaceNames(): ReadonlySet<string> {
    this.#interfaces ??= new Set(super.list('/sys/class/net') ?? []);
    return this.#interfaces;
  }

  /** A read that is denied is recorded as such. */
  #noting<T>(hostPath: string, read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof HostReadError) this.#keepUnreadable(hostPath, error.code);
      throw error;
    }
  }

  /** The same for files, but for attributes that fail for other reasons. */
  #notingDenied<T>(hostPath: string, read: () => T): T {
    try {
      return read();
    } catch (error) {
      const denied = error instanceof HostReadError && ['EACCES', 'EPERM'].includes(error.code);
      if (denied && !/^\/(proc|sys)\//.test(hostPath) && this.#remember(hostPath) !== null)
        this.#keepUnreadable(hostPath, error.code);
      throw error;
    }
  }

  /** A process is recorded as unreadable as a whole. */
  #keepUnreadable(hostPath: string, code: string): void {
    const process = /^\/proc\/\d+/.exec(hostPath)?.[0];
    if (process) this.entries.set(process, { kind: 'directory' });
    this.recorded.unreadable[process ? `${process}/fd` : hostPath] = code;
  }

  #keepNodes(nodes: readonly DeviceNode[]): void {
    const known = new Set(this.recorded.nodes.map(node => node.path));
    this.recorded.nodes.push(...nodes.filter(node => !known.has(node.path)));
  }

  /**
   * Records every link in a path, and the directory or an empty file at its end.
   * @returns the path without links; null for a path that must not be recorded
   */
  #remember(hostPath: string): string | null {
    if (!mayRecord(hostPath)) return null;
    let done = '';
    const pending = hostPath.split('/').filter(Boolean);
    for (let steps = 0; pending.length > 0 && steps < 256; steps++) {
      const name = pending.shift()!;
      if (name === '..') {
        done = path.posix.dirname(`${done}/`).replace(/\/$/, '');
        continue;
      }
      const here = `${done}/${name}`;
      const target = magicLink(here) ? null : this.#linkAt(here);
      if (target === null) {
        done = here;
        continue;
      }
      this.entries.set(here, { kind: 'link', target });
      if (target.startsWith('/')) done = '';
      pending.unshift(...target.split('/').filter(part => part !== '' && part !== '.'));
    }
    if (isSecret(done)) return null;
    if (!this.entries.has(done)) this.#keepKind(done);
    return done;
  }

  #linkAt(hostPath: string): string | null {
    try {
      return fs.readlinkSync(path.join(this.path, hostPath));
    } catch {
      return null;
    }
  }

  #keepKind(real: string): void {
    const stat = fs.statSync(path.join(this.path, real), { throwIfNoEntry: false });
    if (stat?.isDirectory()) this.entries.set(real, { kind: 'directory' });
    else if (stat?.isFile()) this.entries.set(real, { kind: 'file', content: Buffer.alloc(0) });
  }

  #keepFile(real: string, content: Buffer): void {
    const known = this.entries.get(real);
    const longer = known?.kind === 'file' && known.content.length > content.length;
    if (!longer) this.entries.set(real, { kind: 'file', content });
  }

  #isEmpty(real: string): boolean {
    const entry = this.entries.get(real);
    return entry?.kind === 'file' && entry.content.length === 0;
  }

  #keepLink(hostPath: string, target: string): void {
    if (hostPath.startsWith('/proc/') && !isHardware(target)) return;
    const parent = this.#remember(path.posix.dirname(hostPath));
    if (parent === null) return;
    this.entries.set(path.posix.join(parent, path.posix.basename(hostPath)), { kind: 'link', target });
  }

  #keepName(here: string): void {
    if (this.entries.has(here) || isSecret(here)) return;
    const stat = fs.lstatSync(path.join(this.path, here), { throwIfNoEntry: false });
    if (stat?.isSymbolicLink()) this.#keepLink(here, this.#linkAt(here)!);
    else if (stat?.isDirectory()) this.entries.set(here, { kind: 'directory' });
  }
}

/** Links such as /proc/self lead to processes that a recording does not have. */
function magicLink(hostPath: string): boolean {
  return hostPath.startsWith('/proc/');
}

/** Adds bytes to those already read; ranges that were not read remain zero. */
function withBytes(content: Buffer, bytes: Buffer, offset: number): Buffer {
  const length = Math.min(Math.max(content.length, offset + bytes.length), fileLimit);
  if (bytes.length === 0 || length <= offset) return content;
  const result =
    length > content.length ? Buffer.concat([content, Buffer.alloc(length - content.length)]) : content;
  bytes.copy(result, offset);
  return result;
}
