import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { printable } from '../../text/printable.ts';
import { CONNECTION_LOST, encodeMessage, StreamError, StreamReader } from '../../vmm/migration/stream.ts';
import { socketPair } from '../../vmm/native/libc.ts';
import { type FromDestination, type FromSource, MigrationError, parseFromDestination } from './messages.ts';
import type { MigrateOptions } from './migration-info.ts';

/** What is kept of the standard error of the command. */
const ERROR_BYTES = 4096;
/** How long a command may take to end once its connection is closed. */
const ENDS_WITHIN_MS = 2000;
/** How long the last words of a command are waited for. */
const LAST_WORDS_MS = 500;

const DESTINATION =
  /^(?:ssh:\/\/)?(?:([^@\s/]+)@)?(\[[0-9a-fA-F:.]+(?:%[\w.-]+)?\]|[^@\s/:[\]]+)(?::(\d{1,5}))?\/?$/;

/** The command that runs `vring` with these arguments on another host by SSH. @throws if that is no host */
export function sshCommand(destination: string, args = 'vm receive'): string[] {
  const [, user, bracketed, port] = DESTINATION.exec(destination) ?? [];
  const host = bracketed?.replace(/^\[|\]$/g, '');
  if (host === undefined || host.startsWith('-') || user?.startsWith('-') || Number(port ?? 22) > 65_535)
    throw new Error(
      `"${printable(destination)}" is no host: expected [user@]host or ssh://[user@]host[:port]`,
    );
  return [
    'ssh',
    '-T',
    // Nobody is there to type a password.
    ...['-o', 'BatchMode=yes', '-o', 'ConnectTimeout=15'],
    ...['-o', 'ServerAliveInterval=5', '-o', 'ServerAliveCountMax=3'],
    ...(port === undefined ? [] : ['-p', port]),
    '--',
    user === undefined ? host : `${user}@${host}`,
    `vring ${args}`,
  ];
}

/** A connection to `vring vm receive` on another host. */
export class Transport {
  /** The socket to write memory to, by another process; not while `send` does. */
  readonly fd: number;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #reader = new StreamReader();
  readonly #what: string;
  /** What shows why the other host cannot be reached. */
  readonly #check: string;
  /** The other host has sent something. */
  #isReached = false;
  #messages: FromDestination[] = [];
  #failure: Error | null = null;
  #errors = '';
  #changed = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<string>();
  #isClosed = false;

  /** Starts the command. @throws if that is no host, or there is no such command */
  constructor({ destination, command, sshAgent }: MigrateOptions) {
    const argv = command === undefined ? sshCommand(destination) : ['/bin/sh', '-c', command];
    this.#what = command === undefined ? 'ssh' : 'the command';
    this.#check =
      command === undefined
        ? `; make this work for the user of the manager: ${sshCommand(destination, '--version').join(' ')}`
        : '';
    const [ours, theirs] = socketPair();
    this.fd = ours;
    try {
      this.#child = spawn(argv[0]!, argv.slice(1), {
        stdio: [theirs, theirs, 'pipe'],
        // Its processes get its signals, too.
        detached: true,
        env: { ...process.env, ...(sshAgent !== undefined && { SSH_AUTH_SOCK: sshAgent }) },
      });
    } catch (error) {
      closeSync(ours);
      throw error;
    } finally {
      closeSync(theirs);
    }
    this.#child.stderr!.on('data', (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString('utf8')).slice(-ERROR_BYTES);
    });
    this.#child.on('error', error => this.#ended.resolve(`cannot be started: ${error.message}`));
    this.#child.on('close', (code, signal) =>
      this.#ended.resolve(signal === null ? `ended with status ${code}` : `was ended by ${signal}`),
    );
    this.#socket = new Socket({ fd: ours, allowHalfOpen: false });
    this.#socket.on('data', chunk => this.#received(chunk));
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => void this.#lost());
  }

  /** Sends a message; resolves once all of it has been written. @throws when the connection is broken */
  async send(message: FromSource): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      this.#socket.write(encodeMessage(message), error => (error ? reject(this.#error(error)) : resolve())),
    );
  }

  /**
   * The next message, if it is of this kind.
   * @throws OtherHostError if the other host refuses; or why there is none
   */
  async expect(kind: FromDestination['kind'], limitMs: number, late: string): Promise<void> {
    const message = await this.#next(limitMs, late);
    if (message.kind === kind) return;
    if (message.kind === 'failed') throw new OtherHostError(message.reason);
    throw new MigrationError('the other host sent a message out of order');
  }

  /** Rejects when the other host gives up, or the connection breaks. */
  async untilFailure(signal: AbortSignal): Promise<never> {
    for (;;) {
      if (signal.aborted) return await new Promise(() => {});
      const [message] = this.#messages;
      if (message?.kind === 'failed') throw new OtherHostError(message.reason);
      if (message !== undefined) throw new MigrationError('the other host sent a message out of order');
      if (this.#failure !== null) throw this.#failure;
      await this.#changed.promise;
    }
  }

  /** Why the other host has given up, or how the connection broke; null if neither is known soon. */
  async lastWords(): Promise<Error | null> {
    const over = new AbortController();
    const late = setTimeout(() => over.abort(), LAST_WORDS_MS * 2);
    const timeout = new Promise<null>(resolve => over.signal.addEventListener('abort', () => resolve(null)));
    try {
      return await Promise.race([this.untilFailure(over.signal).catch((error: Error) => error), timeout]);
    } finally {
      clearTimeout(late);
      over.abort();
    }
  }

  /** Ends the command. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.destroy();
    const late = setTimeout(() => this.#kill('SIGKILL'), ENDS_WITHIN_MS);
    void this.#ended.promise.then(() => clearTimeout(late));
    // One that does not read its input notices nothing.
    this.#kill('SIGTERM');
  }

  async #next(limitMs: number, late: string): Promise<FromDestination> {
    const timer = setTimeout(() => this.#fail(new Error(late)), limitMs);
    try {
      for (;;) {
        const message = this.#messages.shift();
        if (message !== undefined) return message;
        if (this.#failure !== null) throw this.#failure;
        await this.#changed.promise;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #received(chunk: Uint8Array): void {
    this.#isReached = true;
    try {
      for (const item of this.#reader.push(chunk)) {
        if (item.kind !== 'message') throw new StreamError('sent memory');
        this.#messages.push(parseFromDestination(item.message));
        this.#notify();
      }
    } catch (error) {
      const { message } = error as Error;
      this.#fail(error instanceof StreamError ? new Error(`the other host ${message}`) : (error as Error));
      this.#socket.destroy();
    }
  }

  /** What the command says last explains it. */
  async #lost(): Promise<void> {
    const late = new Promise<null>(resolve => setTimeout(() => resolve(null), LAST_WORDS_MS));
    const ending = await Promise.race([this.#ended.promise, late]);
    this.#fail(this.#error(null, ending));
  }

  #error(error: Error | null, ending: string | null = null): Error {
    if (this.#failure !== null) return this.#failure;
    // SSH ends its lines with CR and LF.
    const words = printable(this.#errors.trim().split(/\r?\n/).slice(-3).join('; '));
    const how = ending === null ? (error?.message ?? 'it was closed') : `${this.#what} ${ending}`;
    const details = `${how}${words && `: ${words}`}`;
    return new Error(
      this.#isReached
        ? `${CONNECTION_LOST}: ${details}`
        : `the other host cannot be reached: ${details}${this.#check}`,
    );
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#notify();
  }

  #notify(): void {
    const changed = this.#changed;
    this.#changed = Promise.withResolvers();
    changed.resolve();
  }

  #kill(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    try {
      if (pid !== undefined) process.kill(-pid, signal);
    } catch {
      // It has ended.
    }
  }
}

/** The other host refuses the VM, or has given it up: it does not run there. */
export class OtherHostError extends Error {
  override readonly name = 'OtherHostError';
}
