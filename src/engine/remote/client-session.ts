import type { Socket } from 'node:net';
import type { ConsoleWatcher, Engine } from '../engine.ts';
import { COM1 } from '../vm-consoles.ts';
import type { EngineEvent } from '../vm-info.ts';
import { ClientArrival } from './client-arrival.ts';
import { ClientConsoles } from './client-consoles.ts';
import { ClientMirror } from './client-mirror.ts';
import { ClientSamplings } from './client-samplings.ts';
import {
  type ClientNotifications,
  type Hello,
  MAX_REQUEST_BYTES,
  type ManagerNotifications,
  type ManagerStatus,
  PROTOCOL,
  type Requests,
  type StopRequest,
} from './protocol.ts';
import { refusal, toWire } from './request-error.ts';
import { CHANGING, notificationSchemas, requestSchemas } from './request-schemas.ts';
import type { Sink } from './sink.ts';
import { otherClient, welcome } from './versions.ts';
import { Wire } from './wire.ts';

type ConsoleNotification = ClientNotifications[Exclude<keyof ClientNotifications, 'goodbye'>];

const HELLO_TIMEOUT_MS = 10_000;
/** The most pending requests of one client. */
const MAX_OPEN_REQUESTS = 64;

/** What the process around the engine handles itself. */
export type ManagerControl = {
  status(): ManagerStatus;
  /** A client has introduced itself, and is about to receive the VMs. */
  introduced?(): void;
  /** Begins to shut down; guests power off in the meantime. */
  stop(request: StopRequest, terminal: string): void;
};

export type SessionEvents = {
  /** The client is gone; the reason if it did not say goodbye. */
  closed(reason: string | null): void;
};

type Handlers = {
  readonly [Method in keyof Requests]: (
    params: Requests[Method][0],
  ) => Requests[Method][1] | Promise<Requests[Method][1]>;
};

/** One client of a manager: its requests, and what is sent to it. */
export class ClientSession implements Sink {
  readonly #engine: Engine;
  readonly #control: ManagerControl;
  readonly #wire: Wire;
  readonly #mirror: ClientMirror;
  readonly #samplings: ClientSamplings;
  readonly #consoles: ClientConsoles;
  readonly #arrival: ClientArrival;
  readonly #unsubscribe: () => void;
  readonly #helloTimer: NodeJS.Timeout;
  #hello: Hello | null = null;
  #open = 0;
  /** Why the connection ends, for the log; null if there is nothing to report. */
  #reason: string | null = null;

  constructor(engine: Engine, control: ManagerControl, socket: Socket, events: SessionEvents) {
    this.#engine = engine;
    this.#control = control;
    this.#mirror = new ClientMirror(engine, this);
    this.#samplings = new ClientSamplings(engine, this);
    this.#consoles = new ClientConsoles(engine, this);
    this.#arrival = new ClientArrival(engine);
    this.#wire = new Wire(
      socket,
      { maxBytes: MAX_REQUEST_BYTES, holdsUnread: true },
      {
        broken: error => this.refuse(error.message),
        drained: () => this.#catchUp(),
        closed: () => {
          this.#release();
          events.closed(this.#reason);
        },
      },
    );
    this.#unsubscribe = engine.subscribe((event: EngineEvent) => this.#mirror.changed(event));
    this.#helloTimer = setTimeout(() => this.refuse('no hello came within 10 seconds'), HELLO_TIMEOUT_MS);
    const { connection } = this.#wire;
    connection.onRequest((method, params) => this.#answer(method, params));
    connection.onNotification((method, params) => this.#notified(method, params));
    connection.listen();
  }

  /** Null until it has introduced itself. */
  get hello(): Hello | null {
    return this.#hello;
  }

  get congested(): boolean {
    return this.#wire.congested;
  }

  send<Method extends keyof ManagerNotifications>(
    method: Method,
    params: ManagerNotifications[Method],
  ): void {
    this.#wire.notify(method, params);
  }

  /** Ends the connection, with a reason for the client. */
  refuse(reason: string): void {
    this.#reason = reason;
    this.#release();
    this.#wire.refuse(reason);
  }

  /** Ends the connection as part of an orderly shutdown. */
  dismiss(reason: string): void {
    this.#reason = null;
    this.send('farewell', { reason });
    this.#wire.end();
  }

  async #answer(method: string, params: unknown): Promise<unknown> {
    if (!isKeyOf(this.#handlers, method))
      throw refusal('methodNotFound', `there is no request "${method}" in protocol ${PROTOCOL}`);
    if (this.#hello === null && method !== 'hello')
      throw refusal('notIntroduced', 'send hello first: see docs/api.md');
    if (this.#hello?.readOnly && CHANGING.has(method))
      throw refusal(
        'readOnly',
        'this terminal is attached read-only: attach without --read-only to change VMs',
      );
    if (this.#open >= MAX_OPEN_REQUESTS)
      throw refusal(
        'tooMany',
        `${MAX_OPEN_REQUESTS} requests are pending already: wait for an answer before the next`,
      );
    this.#open++;
    try {
      const handler = this.#handlers[method] as (params: unknown) => unknown;
      const result = await handler(checked(method, requestSchemas[method], params));
      // The client must see a request's effects before its answer.
      this.#mirror.flush();
      return result;
    } catch (error) {
      throw toWire(error);
    } finally {
      this.#open--;
    }
  }

  readonly #handlers: Handlers = {
    hello: hello => this.#introduce(hello),
    subscribe: () => done(this.#mirror.begin()),
    vms: () => this.#engine.vms(),
    log: () => this.#engine.log(),
    metrics: ({ format = 'openmetrics' }) => this.#engine.metrics(format),
    ping: () => null,
    'manager/status': () => this.#control.status(),
    'manager/stop': request => done(this.#control.stop(request, this.#hello!.terminal)),
    'vm/start': ({ config }) => this.#engine.start(config),
    'vm/restart': ({ id }) => this.#engine.restart(id).then(done),
    'vm/pause': ({ id }) => this.#engine.pause(id).then(done),
    'vm/resume': ({ id }) => this.#engine.resume(id).then(done),
    'vm/wake': ({ id }) => this.#engine.wake(id).then(done),
    'vm/reset': ({ id }) => this.#engine.reset(id).then(done),
    'vm/powerButton': ({ id }) => this.#engine.powerButton(id),
    'vm/upgrade': ({ id }) => this.#engine.upgrade(id),
    'vm/resizeDisk': ({ id, device, ...change }) => this.#engine.resizeDisk(id, device, change),
    'vm/limitDisk': ({ id, device, limits, ...options }) =>
      this.#engine.limitDisk(id, device, limits, options).then(done),
    'vm/setLink': ({ id, device, up }) => this.#engine.setLink(id, device, up).then(done),
    'vm/limitNic': ({ id, device, limits, ...options }) =>
      this.#engine.limitNic(id, device, limits, options).then(done),
    'vm/input': ({ id, events }) => this.#engine.input(id, events),
    'vm/guestFacts': ({ id }) => this.#engine.guestFacts(id),
    'vm/guestExec': ({ id, ...program }) => this.#engine.guestExec(id, program),
    'vm/screen': async ({ id, device, seen }) => {
      const update = await this.#engine.screen(id, device, seen);
      return update && { seen: update.seen, update: Buffer.from(update.update).toString('base64') };
    },
    'vm/resizeScreen': ({ id, device, ...size }) => this.#engine.resizeScreen(id, device, size),
    'vm/setBalloon': ({ id, bytes }) => this.#engine.setBalloon(id, bytes).then(done),
    'vm/setVcpus': ({ id, count, ...options }) => this.#engine.setVcpus(id, count, options),
    'vm/changeMedium': ({ id, device, ...change }) =>
      this.#engine.changeMedium(id, device, change).then(done),
    'vm/attach': ({ id, device, ...options }) => this.#engine.attach(id, device, options),
    'vm/detach': ({ id, device, ...options }) => this.#engine.detach(id, device, options).then(done),
    'vm/cancelDetach': ({ id, device }) => this.#engine.cancelDetach(id, device).then(done),
    'vm/kill': ({ id }) => this.#engine.kill(id).then(done),
    'vm/remove': ({ id }) => this.#engine.remove(id).then(done),
    'vm/rename': ({ id, name }) => this.#engine.rename(id, name).then(done),
    'vm/snapshot': ({ id, ...options }) => this.#engine.snapshot(id, options),
    'vm/save': ({ id }) => this.#engine.save(id).then(done),
    'vm/migrate': ({ id, ...options }) => this.#engine.migrate(id, options),
    'arrival/prepare': offer => this.#arrival.prepare(offer),
    'arrival/load': load => this.#arrival.load(load).then(done),
    'arrival/go': () => this.#arrival.go(),
    'arrival/close': ({ reason }) => this.#arrival.giveUp(reason).then(done),
    'vm/cancelTask': ({ id }) => this.#engine.cancelTask(id).then(done),
    'snapshot/list': ({ vm, check }) => this.#engine.snapshots(vm, { check }),
    'snapshot/restore': ({ vm, name, ...options }) => this.#engine.restore(vm, name, options),
    'snapshot/delete': ({ vm, name }) => this.#engine.deleteSnapshot(vm, name).then(done),
    'definition/write': ({ name, yaml, replace }) => this.#engine.define(name, yaml, { replace }).then(done),
    'definition/read': ({ name }) => this.#engine.definition(name),
    'sampling/open': ({ sampling, ...settings }) => done(this.#samplings.open(sampling, settings)),
    'sampling/configure': ({ sampling, ...change }) => done(this.#samplings.at(sampling).configure(change)),
    'sampling/resetTotals': ({ sampling }) => done(this.#samplings.at(sampling).resetTotals()),
    'sampling/close': ({ sampling }) => done(this.#samplings.close(sampling)),
    'console/open': ({ console, id, port = COM1 }) =>
      done(this.#consoles.open(console, id, { port, watcher: this.#watcher })),
    'console/takeKeyboard': ({ console, take }) => this.#consoles.at(console).takeKeyboard(take).then(done),
    'console/releaseKeyboard': ({ console }) => done(this.#consoles.at(console).releaseKeyboard()),
    'console/feed': ({ console, bytes }) =>
      this.#consoles.at(console).feed(Buffer.from(bytes, 'base64')).then(done),
    'console/close': ({ console }) => done(this.#consoles.close(console)),
  };

  get #watcher(): ConsoleWatcher {
    const { terminal, readOnly } = this.#hello!;
    return { name: terminal, answers: !readOnly };
  }

  #introduce(hello: Hello) {
    if (this.#hello !== null) throw refusal('invalidParams', 'hello was sent already');
    const objection = otherClient(hello);
    if (objection !== null) throw refusal('otherVersion', objection);
    this.#hello = hello;
    this.#reason = 'it closed the connection without saying goodbye';
    clearTimeout(this.#helloTimer);
    this.#control.introduced?.();
    return welcome(this.#engine.manager);
  }

  /** Notifications have no answer: an invalid one ends the connection. */
  #notified(method: string, params: unknown): void {
    const parsed = isKeyOf(notificationSchemas, method)
      ? notificationSchemas[method].safeParse(params)
      : null;
    if (this.#hello === null || !parsed?.success) {
      this.refuse(`there is no notification ${JSON.stringify(method)} with such parameters`);
    } else if (method === 'goodbye') {
      this.#reason = null;
    } else if (!this.#hello.readOnly) {
      this.#console(method, parsed.data as ConsoleNotification);
    }
  }

  #console(method: string, { console, ...given }: ConsoleNotification): void {
    const link = this.#consoles.find(console);
    if ('columns' in given) link?.setSize(given);
    else if (method === 'console/type') link?.type(Buffer.from(given.bytes, 'base64'));
    else link?.answer(Buffer.from(given.bytes, 'base64'));
  }

  /** Output first: a client that learns that its VM is off expects none any more. */
  #catchUp(): void {
    this.#consoles.flush();
    this.#mirror.flush();
    this.#samplings.flush();
  }

  #release(): void {
    clearTimeout(this.#helloTimer);
    this.#unsubscribe();
    this.#samplings.closeAll();
    this.#consoles.closeAll();
    this.#arrival.close();
  }
}

/** For requests without a result. */
function done(_: unknown): null {
  return null;
}

function isKeyOf<T extends object>(table: T, key: string): key is keyof T & string {
  return Object.hasOwn(table, key);
}

function checked(method: string, schema: (typeof requestSchemas)[keyof Requests], params: unknown): unknown {
  const parsed = schema.safeParse(params);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw refusal('invalidParams', `${method}: ${path.join('.') || 'its parameters'}: ${message}`);
}
