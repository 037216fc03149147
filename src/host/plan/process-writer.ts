import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { replaceFile } from '../../files/replace-file.ts';
import { commandEnvironment } from '../live-facts.ts';
import {
  formatPendingWrites,
  type PendingWrite,
  pendingWritesPath,
  readPendingWrites,
} from '../pending-writes.ts';
import { currentBootId, startTicksOf } from '../process-identity.ts';
import type { CommandResult } from '../recorded-facts.ts';
import type { HostRoot } from '../root.ts';
import { HangingError, type TimeLimit, withinLimit } from './time-limit.ts';
import type { HostWriter } from './writer.ts';

/** Requests to the process that writes to the host. Paths are absolute on the running system. */
export type HostOperation =
  | { readonly kind: 'write'; readonly path: string; readonly value: string }
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly content: string;
      readonly mode: number;
      readonly backup: string | null;
    }
  | { readonly kind: 'remove'; readonly paths: readonly string[]; readonly directory: boolean };

export type HostReply =
  | { readonly ok: true }
  | { readonly ok: false; readonly message: string; readonly code?: string };

/**
 * Changes a host through a separate process. A write to sysfs may never return, and no signal ends a process or thread
 * stuck in one; this process must be able to continue and to exit.
 */
export class ProcessWriter implements HostWriter {
  readonly root: HostRoot;
  readonly writeSeconds: number | null;
  #child: ChildProcess | null = null;
  #replies: AsyncIterator<string> | null = null;

  /** @param writeSeconds time limit of a write to a device; null for the plan's */
  constructor(root: HostRoot, writeSeconds: number | null = null) {
    this.root = root;
    this.writeSeconds = writeSeconds;
  }

  async writeAttribute(path: string, value: string, limit: TimeLimit): Promise<void> {
    const address = /[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]/.exec(`${value} ${path}`)?.[0];
    const operation = { kind: 'write', path: this.root.resolve(path), value } as const;
    if (address === undefined) return await this.#perform(operation, limit);
    this.#note({ address, path, value });
    try {
      await this.#perform(operation, limit);
    } catch (error) {
      if (!(error instanceof HangingError)) this.#clear(this.#child?.pid);
      throw error;
    }
    this.#clear(this.#child?.pid);
  }

  replaceFile(
    path: string,
    content: string,
    mode: number,
    backup: string | null,
    limit: TimeLimit,
  ): Promise<void> {
    const keep = backup === null ? null : this.root.resolve(backup);
    return this.#perform({ kind: 'file', path: this.root.resolve(path), content, mode, backup: keep }, limit);
  }

  removeFiles(paths: readonly string[], directory: boolean, limit: TimeLimit): Promise<void> {
    const files = paths.map(path => this.root.resolve(path));
    return this.#perform({ kind: 'remove', paths: files, directory }, limit);
  }

  async run(argv: readonly [string, ...string[]], limit: TimeLimit): Promise<CommandResult | null> {
    const [file, ...args] = argv;
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: commandEnvironment(),
      // Its own process group: its children are killed with it, and Ctrl-C does not interrupt an initramfs build.
      detached: true,
    });
    try {
      return await withinLimit(child, commandResult(child), limit, true);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      letGo(child);
      throw error;
    }
  }

  async sleep(milliseconds: number): Promise<void> {
    await sleep(milliseconds);
  }

  close(): void {
    this.#child?.stdin?.end();
    this.#forget();
  }

  async #perform(operation: HostOperation, limit: TimeLimit): Promise<void> {
    const child = this.#start();
    const replies = this.#replies!;
    child.stdin!.write(`${JSON.stringify(operation)}\n`);
    const reply = await withinLimit(child, nextReply(replies), limit, false).catch((error: unknown) => {
      letGo(child);
      this.#forget();
      throw error;
    });
    if (reply.ok) return;
    throw Object.assign(new Error(reply.message), reply.code !== undefined && { code: reply.code });
  }

  #start(): ChildProcess {
    if (this.#child !== null) return this.#child;
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entryPoint()], {
      stdio: ['pipe', 'pipe', 'ignore'],
      // Only this process handles Ctrl-C: a write in progress runs to completion.
      detached: true,
    });
    child.on('error', () => {});
    // If it died, the missing reply reports it.
    child.stdin!.on('error', () => {});
    letGo(child);
    this.#child = child;
    this.#replies = readline.createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    return child;
  }

  #forget(): void {
    this.#child = null;
    this.#replies = null;
  }

  #note(write: Pick<PendingWrite, 'address' | 'path' | 'value'>): void {
    const { pid } = this.#start();
    if (pid === undefined) return;
    const startTicks = startTicksOf(pid) ?? 0;
    const since = new Date().toISOString();
    const pending = { pid, startTicks, bootId: currentBootId(), since, ...write };
    this.#keepPending([...readPendingWrites(this.root), pending]);
  }

  #clear(pid: number | undefined): void {
    this.#keepPending(readPendingWrites(this.root).filter(write => write.pid !== pid));
  }

  /** Without the note, other processes may hang on the same device; that is no reason to abort. */
  #keepPending(writes: readonly PendingWrite[]): void {
    try {
      replaceFile(this.root.resolve(pendingWritesPath()), formatPendingWrites(writes), { mode: 0o600 });
    } catch {
      // Most likely a full disk.
    }
  }
}

/**
 * Writes to the running system.
 * @param writeSeconds time limit of a write to a device; default: the plan's
 * @throws for a recorded host, and for users other than root
 */
export function systemWriter(root: HostRoot, writeSeconds?: number): HostWriter {
  if (!root.live) throw new Error(`${root.path} is a recorded host and cannot be changed`);
  if (process.geteuid?.() !== 0) {
    throw new Error('changing the host needs root: run vring as root, or use --dry-run to see the plan');
  }
  return new ProcessWriter(root, writeSeconds ?? null);
}

async function nextReply(replies: AsyncIterator<string>): Promise<HostReply> {
  const next = await replies.next();
  if (next.done) throw new Error('the process that writes to the host died');
  return JSON.parse(next.value) as HostReply;
}

/** Lets this process exit while the child is still running. */
function letGo(child: ChildProcess): void {
  child.unref();
  for (const pipe of [child.stdin, child.stdout, child.stderr]) {
    (pipe as { unref?(): void } | null)?.unref?.();
  }
}

const OUTPUT_MAX = 1 << 20;

async function commandResult(child: ChildProcess): Promise<CommandResult> {
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]!.setEncoding('utf8').on('data', (text: string) => {
      output[name] = `${output[name]}${text}`.slice(-OUTPUT_MAX);
    });
  }
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  return { exitCode: exitCode ?? 1, stdout: output.stdout.trimEnd(), stderr: output.stderr.trimEnd() };
}

/** The bundle beside this one, or the source when running from it. */
function entryPoint(): string {
  const folders = [import.meta.dirname, dirname(import.meta.dirname)];
  const bundled = folders.map(folder => join(folder, 'host-process.js')).find(existsSync);
  return bundled ?? join(import.meta.dirname, 'host-process.ts');
}
