import { connect, type Socket } from 'node:net';
import { DeltaError } from './delta.ts';
import {
  type ClientNotifications,
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

const HELLO_TIMEOUT_MS = 10_000;
const CLOSED = 'it went without a word, perhaps killed';

export type LinkEvents = {
  received<Method extends keyof ManagerNotifications>(
    method: Method,
    params: ManagerNotifications[Method],
  ): void;
  /** It is over, and why. */
  lost(reason: string): void;
};

/** One connection to a manager, from hello to its end. */
export class ManagerLink {
  readonly #wire: Wire;
  readonly #events: LinkEvents;
  #lost: string | null = null;
  #farewell: string | null = null;
  #welcome: Welcome | null = null;

  private constructor(socket: Socket, events: LinkEvents) {
    this.#events = events;
    this.#wire = new Wire(
      socket,
      { maxBytes: MAX_ANSWER_BYTES, holdsUnread: false },
      {
        broken: error => this.#end(`it sent what this vring does not understand: ${error.message}`),
        drained: () => {},
        closed: () => this.#end(this.#farewell ?? CLOSED),
      },
    );
    const { connection } = this.#wire;
    connection.onNotification((method, params) => this.#notified(method, params));
    connection.listen();
  }

  /**
   * Connects and introduces this process.
   * @throws Node's error (ENOENT, ECONNREFUSED, EACCES) when nobody listens at `path`; ECONNRESET when who listens there is just
   * ending; with a sentence when the manager refuses
   */
  static async open(path: string, hello: Omit<Hello, 'protocol'>, events: LinkEvents): Promise<ManagerLink> {
    const socket = await connected(path);
    const link = new ManagerLink(socket, events);
    const silence = setTimeout(
      () => link.#end(`the process behind ${path} does not answer: look at its log, or end it`),
      HELLO_TIMEOUT_MS,
    );
    try {
      const welcome = await link.request('hello', { ...hello, protocol: PROTOCOL });
      const objection = otherManager(welcome);
      if (objection !== null) throw new Error(objection);
      link.#welcome = welcome;
    } catch (error) {
      const ending = link.#lost === CLOSED;
      link.close();
      throw ending ? Object.assign(new Error(CLOSED), { code: 'ECONNRESET' }) : error;
    } finally {
      clearTimeout(silence);
    }
    return link;
  }

  get welcome(): Welcome {
    return this.#welcome!;
  }

  /** @throws with the manager's sentence; or why it is out of reach */
  async request<Method extends keyof Requests>(
    method: Method,
    params: Requests[Method][0],
  ): Promise<Requests[Method][1]> {
    if (this.#lost !== null) throw new Error(this.#lost);
    try {
      return await this.#wire.connection.sendRequest<Requests[Method][1]>(method, params);
    } catch (error) {
      throw this.#lost === null ? await fromWire(error) : new Error(this.#lost);
    }
  }

  notify<Method extends keyof ClientNotifications>(
    method: Method,
    params: ClientNotifications[Method],
  ): void {
    if (this.#lost === null) this.#wire.notify(method, params);
  }

  /** Of this side's will: `lost` is not called. */
  close(): void {
    this.#lost ??= 'this process has left it';
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
      if (error instanceof DeltaError)
        this.#end(`it sent what this vring does not understand: ${error.message}`);
      // A listener's own failure. The connection would keep it to itself.
      else
        queueMicrotask(() => {
          throw error;
        });
    }
  }

  #end(reason: string): void {
    if (this.#lost !== null) return;
    this.#lost = reason;
    this.#wire.close();
    if (this.#welcome !== null) this.#events.lost(reason);
  }
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
