import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import type { LayoutName } from '../devices/input/layout-names.ts';
import type { Engine } from '../engine/engine.ts';
import { followScreen } from '../engine/screen/follow-screen.ts';
import type { ScreenLink } from '../engine/screen/screen-link.ts';
import { InputQueue } from '../screen/keyboard/input-queue.ts';
import { Framebuffer } from './framebuffer.ts';
import type { Security } from './security.ts';
import { VncSession } from './session.ts';

const CLIENTS_MAX = 16;
/** The shortest time between two frames. */
const FRAME_MS = 33;

/** Where clients connect. */
export type VncAddress =
  | { readonly kind: 'unix'; readonly path: string }
  /** `last`: the end of the port range, of which the first free one is used. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly last?: number };

export type VncServerOptions = {
  readonly address: VncAddress;
  readonly security: Security;
  readonly layout: LayoutName;
  readonly viewOnly: boolean;
  /** Default: the VM's first screen. */
  readonly device?: string | undefined;
  /** Receives messages for the user. */
  readonly happened: (text: string) => void;
};

/** Offers the screen, keyboard and mouse of a VM to VNC clients. */
export class VncServer {
  readonly #options: VncServerOptions;
  readonly #server: Server;
  readonly #sessions = new Set<VncSession>();
  readonly #framebuffer = new Framebuffer();
  readonly #link: ScreenLink;
  readonly #queue: InputQueue;
  readonly #name: string;
  readonly #engine: Engine;
  readonly #id: string;

  private constructor(
    engine: Engine,
    vm: { readonly id: string; readonly name: string },
    options: VncServerOptions,
  ) {
    this.#options = options;
    this.#name = vm.name;
    this.#engine = engine;
    this.#id = vm.id;
    this.#link = followScreen(engine, vm.id, options.device);
    this.#queue = new InputQueue(engine, vm.id, () => {});
    this.#server = createServer(socket => void this.#serve(socket));
  }

  /** @throws Node's error when it cannot listen at the address */
  static async start(
    engine: Engine,
    vm: { readonly id: string; readonly name: string },
    options: VncServerOptions,
  ): Promise<VncServer> {
    const server = new VncServer(engine, vm, options);
    await server.#listen();
    void server.#follow();
    return server;
  }

  /** Where it listens: `127.0.0.1:5900`, or the path of the socket. */
  get address(): string {
    const { address } = this.#options;
    if (address.kind === 'unix') return address.path;
    const found = this.#server.address();
    const port = typeof found === 'object' && found !== null ? found.port : address.port;
    return address.host.includes(':') ? `[${address.host}]:${port}` : `${address.host}:${port}`;
  }

  close(): void {
    this.#link.close();
    this.#server.close();
    for (const session of this.#sessions) session.close();
  }

  async #listen(): Promise<void> {
    const { address } = this.#options;
    if (address.kind === 'unix') {
      // Only this user may connect to the socket.
      const mask = process.umask(0o177);
      const listening = this.#listenAt({ path: address.path });
      process.umask(mask);
      return await listening;
    }
    const { host, port, last = port } = address;
    for (let next = port; ; next++) {
      try {
        return await this.#listenAt({ host, port: next });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || next >= last) throw error;
      }
    }
  }

  #listenAt(where: ListenOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(where, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  async #follow(): Promise<void> {
    for (;;) {
      const view = await this.#link.next();
      if (view === null) return;
      const changed = this.#framebuffer.update(view);
      for (const session of this.#sessions) session.changed(changed);
      await new Promise<void>(resolve => setTimeout(resolve, FRAME_MS));
    }
  }

  async #serve(socket: Socket): Promise<void> {
    const { security, layout, viewOnly, happened } = this.#options;
    if (this.#sessions.size >= CLIENTS_MAX) {
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    const from = socket.remoteAddress ?? 'the socket';
    const session = new VncSession(socket, {
      ...{ framebuffer: this.#framebuffer, name: this.#name, security, layout },
      input: viewOnly ? null : events => this.#queue.push(events),
      resize: viewOnly
        ? null
        : size => this.#engine.resizeScreen(this.#id, this.#options.device ?? null, size),
    });
    this.#sessions.add(session);
    try {
      await session.serve();
    } catch (error) {
      happened(`a client from ${from} was disconnected: ${(error as Error).message}`);
    } finally {
      this.#sessions.delete(session);
    }
  }
}
