import { connect, type Socket } from 'node:net';
import type { Loss } from '../vm-info.ts';
import { DeltaError } from './delta.ts';
import { describeSilence, isRunning, isStopped } from './manager-process.ts';
import {
  type ClientNotifications,
  CODE,
  type Hello,
  MAX_ANSWER_BYTES,
  type ManagerNotifications,
  PROTOCOL,
  type Requests,
  type Welcome,
} from './protocol.ts';
import { fromWire } from './received-error.ts';
import { otherManager } from './versions.ts';
import { Wire } from './wire.ts';

/**
 * A manager that has not answered by then may have been stopped by a signal: then there is no point in waiting longer.
 */
const LOOKS_AFTER_MS = 1000;

/** A manager that accepts connections, but does not answer. */
export class SlowManagerError extends Error {
  override readonly name = 'SlowManagerError';
  readonly pid: number | null;

  /** @param pid null if it could not be determined */
  constructor(message: string, pid: number | null) {
    super(message);
    this.pid = pid;
  }
}

/** A manager of another version, with no protocol in common with this one. */
export class OtherVersionError extends Error {
  override readonly name = 'OtherVersionError';
  /** The process that listens on the socket. */
  readonly pid: number;

  constructor(message: string, pid: number) {
    super(message);
    this.pid = pid;
  }
}

export type LinkEvents = {
  received<Method extends keyof ManagerNotifications>(
    method: Method,
    params: ManagerNotifications[Method],
  ): void;
  /** The connection is lost; `loss` has the reason. */
  lost(loss: Loss): void;
};

/** One connection to a manager, from hello to its end. */
export class ManagerLink {
  readonly #wire: Wire;
  readonly #events: LinkEvents;
  #loss: Loss | null = null;
  #farewell: string | null = null;
  #refusal: string | null = null;
  #welcome: Welcome | null = null;

  private constructor(socket: Socket, events: LinkEvents) {
    this.#events = events;
    this.#wire = new Wire(
      socket,
      { maxBytes: MAX_ANSWER_BYTES, holdsUnread: false },
      {
        broken: error => this.#end(misunderstood(error)),
        refused: sentence => {
          this.#refusal = sentence;
        },
        drained: () => {},
        closed: () => this.#end(this.#howItClosed()),
      },
    );
    const { connection } = this.#wire;
    connection.onNotification((method, params) => this.#notified(method, params));
    connection.listen();
  }

  /**
   * Connects and introduces this process.
   * @throws Node's error (ENOENT, ECONNREFUSED, EACCES) when no process listens at `path`; ECONNRESET when the manager
   * there is just ending; SlowManagerError when it has not answered for `patienceMs`; OtherVersionError; with a
   * sentence when it refuses
   */
  static async open(
    path: string,
    hello: Omit<Hello, 'protocol'>,
    patienceMs: number,
    events: LinkEvents,
  ): Promise<ManagerLink> {
    const socket = await connected(path);
    const link = new ManagerLink(socket, events);
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(silence(socket, patienceMs)), patienceMs);
    const look = setTimeout(async () => {
      const pid = await listenerOf(socket).catch(() => null);
      if (pid !== null && isStopped(pid))
        late.reject(new SlowManagerError(describeSilence(pid, LOOKS_AFTER_MS), pid));
    }, LOOKS_AFTER_MS);
    try {
      link.#welcome = await Promise.race([link.#introduce(socket, hello), late.promise]);
    } catch (error) {
      const reset = link.#loss?.kind === 'disconnected' || link.#loss?.kind === 'ended';
      link.close();
      throw reset ? Object.assign(error as Error, { code: 'ECONNRESET' }) : await error;
    } finally {
      clearTimeout(timer);
      clearTimeout(look);
    }
    return link;
  }

  async #introduce(socket: Socket, hello: Omit<Hello, 'protocol'>): Promise<Welcome> {
    let objection: string | null;
    try {
      const welcome = await this.#wire.connection.sendRequest<Welcome>('hello', {
        ...hello,
        protocol: PROTOCOL,
      });
      objection = otherManager(welcome);
      if (objection === null) return welcome;
    } catch (error) {
      if ((error as { code?: unknown }).code !== CODE.otherVersion)
        throw this.#loss === null ? await fromWire(error) : new Error((this.#loss as Loss).text);
      objection = (error as Error).message;
    }
    throw new OtherVersionError(objection, await listenerOf(socket));
  }

  get welcome(): Welcome {
    return this.#welcome!;
  }

  /** @throws with the manager's sentence, or why it cannot be reached */
  async request<Method extends keyof Requests>(
    method: Method,
    params: Requests[Method][0],
  ): Promise<Requests[Method][1]> {
    if (this.#loss !== null) throw new Error(this.#loss.text);
    try {
      return await this.#wire.connection.sendRequest<Requests[Method][1]>(method, params);
    } catch (error) {
      throw this.#loss === null ? await fromWire(error) : new Error((this.#loss as Loss).text);
    }
  }

  notify<Method extends keyof ClientNotifications>(
    method: Method,
    params: ClientNotifications[Method],
  ): void {
    if (this.#loss === null) this.#wire.notify(method, params);
  }

  /** Closes from this side: `lost` is not called. */
  close(): void {
    this.#loss ??= { kind: 'ended', text: 'this process has detached from it' };
    this.#wire.end();
  }

  #notified(method: string, params: unknown): void {
    if (method === 'farewell') {
      this.#farewell = String((params as ManagerNotifications['farewell']).reason);
      return;
    }
    try {
      this.#events.received(method as keyof ManagerNotifications, params as never);
    } catch (error) {
      if (error instanceof DeltaError) this.#end(misunderstood(error));
      // A listener's own failure, which the connection would swallow.
      else
        queueMicrotask(() => {
          throw error;
        });
    }
  }

  #howItClosed(): Loss {
    if (this.#refusal !== null) return { kind: 'refused', text: this.#refusal };
    if (this.#farewell !== null) return { kind: 'ended', text: this.#farewell };
    const pid = this.#welcome?.pid;
    return pid === undefined || isRunning(pid)
      ? { kind: 'disconnected', text: 'it closed the connection without giving a reason' }
      : died(pid);
  }

  #end(loss: Loss): void {
    if (this.#loss !== null) return;
    this.#loss = loss;
    this.#wire.close();
    if (this.#welcome !== null) this.#events.lost(loss);
  }
}

export function died(pid: number): Loss {
  return { kind: 'died', text: `the manager (process ${pid}) died; the VMs keep running` };
}

function misunderstood({ message }: Error): Loss {
  return { kind: 'refused', text: `it sent what this vring does not understand: ${message}` };
}

/** The process that listens: the kernel knows it even if it does not respond. Loads the native library. */
async function listenerOf(socket: Socket): Promise<number> {
  const { peerCredentials } = await import('./peer-credentials.ts');
  return peerCredentials(socket).pid;
}

async function silence(socket: Socket, silentMs: number): Promise<Error> {
  const pid = await listenerOf(socket);
  return new SlowManagerError(describeSilence(pid, silentMs), pid);
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}
