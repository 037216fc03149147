import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { type ManagerStatus, PROTOCOL, type StopRequest } from '../../src/engine/remote/protocol.ts';
import { RemoteEngine, type RemoteEngineOptions } from '../../src/engine/remote/remote-engine.ts';
import { ControlServer, type ControlServerEvents } from '../../src/engine/remote/server.ts';
import { FakeEngine } from './fake-engine.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { until } from './until.ts';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const STATUS: ManagerStatus = {
  pid: process.pid,
  version: '0.0.0',
  startedAt: 0,
  unit: null,
  socket: '/run/vring/control.sock',
  log: null,
  metrics: null,
  memoryBytes: 2 ** 20,
  clients: 0,
  stopping: false,
};

/** A server without a manager. */
export const NO_MANAGER: ControlServerEvents = {
  note: () => {},
  clients: () => {},
  status: () => STATUS,
  stop: () => {},
};

/** A scripted engine behind a socket. */
export class Rig {
  readonly engine = new FakeEngine(systemClock);
  readonly path = join(temporaryFolder(), 'control.sock');
  readonly notes: string[] = [];
  /** Requests from clients to stop the manager. */
  readonly stops: StopRequest[] = [];
  server!: ControlServer;

  static async start(): Promise<Rig> {
    const rig = new Rig();
    await rig.serve();
    return rig;
  }

  async serve(): Promise<void> {
    this.server = new ControlServer(this.engine, {
      note: (_, text) => this.notes.push(text),
      clients: () => {},
      status: () => ({ ...STATUS, clients: this.server.clients }),
      stop: request => this.stops.push(request),
    });
    await this.server.listen(this.path);
    cleanUps.push(() => this.server.close('the test is over'));
  }

  async attach(options: Partial<RemoteEngineOptions> = {}): Promise<RemoteEngine> {
    const engine = await RemoteEngine.attach({ path: this.path, terminal: 'anna@pts/1', ...options });
    cleanUps.push(() => engine.close());
    return engine;
  }

  /** A client that is not vring's own. */
  async raw(): Promise<RawClient> {
    const client = new RawClient(connect(this.path));
    cleanUps.push(() => client.socket.destroy());
    await client.connected;
    return client;
  }
}

/** Sends and receives raw bytes. */
export class RawClient {
  readonly socket: Socket;
  readonly connected: Promise<void>;
  readonly closed: Promise<void>;
  received = '';

  constructor(socket: Socket) {
    this.socket = socket;
    this.connected = new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    this.closed = new Promise(resolve => socket.once('close', () => resolve()));
    socket.on('error', () => {});
    socket.on('data', chunk => {
      this.received += chunk.toString('latin1');
    });
  }

  write(text: string): void {
    this.socket.write(text);
  }

  send(message: object): void {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    this.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  hello(change: object = {}): void {
    const params = { protocol: PROTOCOL, version: '0', terminal: 'raw@pts/9', readOnly: false, ...change };
    this.send({ id: 0, method: 'hello', params });
  }

  /** Resolves once `pattern` appears in what was received. */
  async expectMessage(pattern: RegExp): Promise<RegExpExecArray> {
    return until(() => pattern.exec(this.received));
  }
}
