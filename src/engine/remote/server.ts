import { chmodSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Engine } from '../engine.ts';
import { ClientSession, type ManagerControl } from './client-session.ts';
import { type PeerCredentials, peerCredentials } from './peer-credentials.ts';

const MAX_CLIENTS = 128;

export type ControlServerEvents = ManagerControl & {
  /** For the log. */
  note(level: 'info' | 'warning', text: string): void;
  /** The number of attached clients changed. */
  clients(count: number): void;
};

/** Serves an engine over a Unix socket to any number of clients of this user and root. */
export class ControlServer {
  readonly #engine: Engine;
  readonly #events: ControlServerEvents;
  readonly #sessions = new Set<ClientSession>();
  #server: Server | null = null;
  #path = '';
  #inode = 0n;

  constructor(engine: Engine, events: ControlServerEvents) {
    this.#engine = engine;
    this.#events = events;
  }

  /**
   * Listens at `path`, where nothing may exist yet; only this user may connect.
   * @throws when it cannot listen at the path
   */
  async listen(path: string): Promise<void> {
    const server = createServer(socket => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    server.on('error', error => this.#events.note('warning', `the socket ${path}: ${error.message}`));
    chmodSync(path, 0o600);
    this.#server = server;
    this.#path = path;
    this.#inode = statSync(path, { bigint: true }).ino;
  }

  /**
   * Whether the socket still exists where clients look for it. A user's session folders may be cleaned up under a
   * process that stays.
   */
  get reachable(): boolean {
    return statSync(this.#path, { bigint: true, throwIfNoEntry: false })?.ino === this.#inode;
  }

  get clients(): number {
    return this.#sessions.size;
  }

  /** Accepts no more clients. */
  stopListening(): void {
    // Node removes the file itself, and would remove another's at the same path.
    this.#server?.close();
    this.#server = null;
  }

  /** Disconnects every client, giving the reason. */
  async close(reason: string): Promise<void> {
    this.stopListening();
    for (const session of this.#sessions) session.dismiss(reason);
    const deadline = performance.now() + 2000;
    while (this.#sessions.size > 0 && performance.now() < deadline)
      await new Promise(resolve => setTimeout(resolve, 10));
  }

  #accept(socket: Socket): void {
    let peer: PeerCredentials;
    try {
      peer = peerCredentials(socket);
    } catch {
      socket.destroy(); // it has closed already
      return;
    }
    const session = new ClientSession(this.#engine, this.#events, socket, {
      closed: reason => this.#left(session, peer, reason),
    });
    this.#sessions.add(session);
    this.#events.clients(this.#sessions.size);
    if (peer.uid !== process.getuid?.() && peer.uid !== 0)
      session.refuse(`user ${peer.uid} may not control VMs that run as user ${process.getuid?.()}`);
    else if (this.#sessions.size > MAX_CLIENTS)
      session.refuse(`${MAX_CLIENTS} terminals are attached already: close one first`);
  }

  #left(session: ClientSession, peer: PeerCredentials, reason: string | null): void {
    this.#sessions.delete(session);
    this.#events.clients(this.#sessions.size);
    if (reason === null) return;
    const who = session.hello?.terminal ?? `user ${peer.uid}`;
    this.#events.note('info', `${who} (process ${peer.pid}) is no longer attached: ${reason}`);
  }
}
