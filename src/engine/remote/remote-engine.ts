import type { DiskLimits } from '../../devices/backends/disk.ts';
import type { NetLimits } from '../../devices/backends/net-limits.ts';
import type { DeviceConfig } from '../../devices/device-table.ts';
import type { MonitorSize } from '../../devices/display/monitor-size.ts';
import type { ScreenSeen, ScreenUpdate } from '../../devices/display/screen-frame.ts';
import type { InputEvent } from '../../devices/input/input-event.ts';
import { version } from '../../project-root.ts';
import type { SizeChange } from '../../vmm/backends/disk-size.ts';
import type { MachineConfigInput } from '../../vmm/machine/config.ts';
import type {
  ConsoleLink,
  ConsoleListener,
  ConsoleOptions,
  Engine,
  ManagerInfo,
  MetricsFormat,
} from '../engine.ts';
import type { GuestProgram } from '../guest-agent/exec.ts';
import type {
  AttachOptions,
  DetachOptions,
  LimitOptions,
  MediumChange,
  SetVcpusOptions,
} from '../hotplug/hotplug-info.ts';
import type { Arrival, MigrateOptions, Offer } from '../migration/migration-info.ts';
import type { Sample, Sampling, SamplingSettings } from '../sampling/sampling.ts';
import type { RestoreOptions, SnapshotOptions } from '../snapshots/snapshot-info.ts';
import { COM1, checkConsole } from '../vm-consoles.ts';
import type { EngineEvent, LogEntry, Loss, VmInfo } from '../vm-info.ts';
import { withAbsolutePath, withAbsolutePaths } from './absolute-paths.ts';
import { Heartbeat } from './heartbeat.ts';
import { died, ManagerLink, SlowManagerError } from './manager-link.ts';
import { describeSilence, isRunning } from './manager-process.ts';
import type { ManagerNotifications, ManagerStatus, Requests, StopRequest, Welcome } from './protocol.ts';
import { RemoteConsole } from './remote-console.ts';
import { RemoteSampling } from './remote-sampling.ts';
import { VmMirror } from './vm-mirror.ts';

/** A manager that has not answered for this long is reported as slow. */
const PATIENCE_MS = 10_000;
/** The interval between attempts to reach a manager, from the first to the longest. */
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 500;

type ActionOnOne = Exclude<
  keyof Requests & `vm/${string}`,
  | 'vm/start'
  | 'vm/rename'
  | 'vm/powerButton'
  | 'vm/upgrade'
  | 'vm/resizeDisk'
  | 'vm/limitDisk'
  | 'vm/setLink'
  | 'vm/input'
  | 'vm/limitNic'
  | 'vm/screen'
  | 'vm/resizeScreen'
  | 'vm/setBalloon'
  | 'vm/setVcpus'
  | 'vm/changeMedium'
  | 'vm/attach'
  | 'vm/detach'
  | 'vm/cancelDetach'
  | 'vm/snapshot'
  | 'vm/migrate'
>;

export type RemoteEngineOptions = {
  /** The manager's socket. */
  readonly path: string;
  /** `user@tty`, shown to other clients. */
  readonly terminal: string;
  readonly readOnly?: boolean;
  /** Starts a manager, and resolves once it listens. @throws with why it could not start */
  readonly startManager?: () => Promise<void>;
  /** How long the manager may be silent before it is reported as slow. */
  readonly patienceMs?: number;
};

/** The VMs of another process, over its socket. Reconnects whenever the connection breaks. */
export class RemoteEngine implements Engine {
  readonly #options: RemoteEngineOptions;
  readonly #mirror = new VmMirror(event => this.#emit(event));
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  readonly #samplings = new Map<number, RemoteSampling>();
  readonly #consoles = new Map<number, RemoteConsole>();
  #nextNumber = 1;
  #link: ManagerLink | null = null;
  #manager: Welcome | null = null;
  /** The manager is the one that this engine was attached to before. */
  #sameManager = false;
  /** Why it cannot be reached. */
  #loss: Loss = { kind: 'disconnected', text: 'not attached yet' };
  #retry: NodeJS.Timeout | undefined;
  readonly #heartbeat: Heartbeat;
  #closed = false;

  private constructor(options: RemoteEngineOptions) {
    this.#options = options;
    this.#heartbeat = new Heartbeat(options.patienceMs ?? PATIENCE_MS, {
      ping: () => this.#link?.request('ping', {}) ?? Promise.resolve(null),
      silent: ms =>
        this.#emit({ kind: 'link', loss: { kind: 'slow', text: describeSilence(this.manager.pid, ms) } }),
      answered: () => this.#emit({ kind: 'link', loss: null }),
    });
  }

  /**
   * Attaches to the manager that listens at `path`; its VMs are known when this resolves.
   * @throws Node's error (ENOENT, ECONNREFUSED, EACCES) when no process listens there, ECONNRESET when it is just
   * ending; with a sentence when it refuses
   */
  static async attach(options: RemoteEngineOptions): Promise<RemoteEngine> {
    const engine = new RemoteEngine(options);
    await engine.#connect();
    return engine;
  }

  get manager(): ManagerInfo {
    const { pid, version, startedAt } = this.#manager!;
    return { pid, version, startedAt, remote: true };
  }

  vms(): readonly VmInfo[] {
    return this.#mirror.vms;
  }

  log(): readonly LogEntry[] {
    return this.#mirror.log;
  }

  start = (config: MachineConfigInput) => this.#request('vm/start', { config: withAbsolutePaths(config) });
  restart = (id: string) => this.#act('vm/restart', id);
  pause = (id: string) => this.#act('vm/pause', id);
  resume = (id: string) => this.#act('vm/resume', id);
  wake = (id: string) => this.#act('vm/wake', id);
  reset = (id: string) => this.#act('vm/reset', id);
  kill = (id: string) => this.#act('vm/kill', id);
  remove = (id: string) => this.#act('vm/remove', id);
  upgrade = (id: string) => this.#request('vm/upgrade', { id });
  powerButton = (id: string) => this.#request('vm/powerButton', { id });
  metrics = (format: MetricsFormat) => this.#request('metrics', { format });
  definition = (name: string) => this.#request('definition/read', { name });

  resizeDisk = (id: string, device: string, change: SizeChange) =>
    this.#request('vm/resizeDisk', { id, device, ...change });

  async changeMedium(id: string, device: string, change: MediumChange): Promise<void> {
    await this.#request('vm/changeMedium', { id, device, ...change });
  }

  async limitDisk(id: string, device: string, limits: DiskLimits, options: LimitOptions = {}): Promise<void> {
    await this.#request('vm/limitDisk', { id, device, limits, ...options });
  }

  async setLink(id: string, device: string, up: boolean): Promise<void> {
    await this.#request('vm/setLink', { id, device, up });
  }

  async limitNic(id: string, device: string, limits: NetLimits, options: LimitOptions = {}): Promise<void> {
    await this.#request('vm/limitNic', { id, device, limits, ...options });
  }

  input = (id: string, events: readonly InputEvent[]) => this.#requestOfLater('vm/input', { id, events });
  guestFacts = (id: string) => this.#requestOfLater('vm/guestFacts', { id });
  guestExec = (id: string, program: GuestProgram) => this.#requestOfLater('vm/guestExec', { id, ...program });

  async screen(id: string, device: string | null, seen: ScreenSeen): Promise<ScreenUpdate | null> {
    const news = await this.#requestOfLater('vm/screen', { id, device, seen });
    return news && { seen: news.seen, update: Buffer.from(news.update, 'base64') };
  }

  resizeScreen = (id: string, device: string | null, size: MonitorSize) =>
    this.#requestOfLater('vm/resizeScreen', { id, device, ...size });

  async setBalloon(id: string, bytes: number): Promise<void> {
    await this.#request('vm/setBalloon', { id, bytes });
  }

  setVcpus = (id: string, count: number, options: SetVcpusOptions = {}) =>
    this.#requestOfLater('vm/setVcpus', { id, count, ...options });

  attach = (id: string, device: DeviceConfig, options: AttachOptions) =>
    this.#requestOfLater('vm/attach', { id, device: withAbsolutePath(device), ...options });

  async detach(id: string, device: string, options: DetachOptions): Promise<void> {
    await this.#requestOfLater('vm/detach', { id, device, ...options });
  }

  async cancelDetach(id: string, device: string): Promise<void> {
    await this.#requestOfLater('vm/cancelDetach', { id, device });
  }

  async rename(id: string, name: string): Promise<void> {
    await this.#request('vm/rename', { id, name });
  }

  save = (id: string) => this.#act('vm/save', id);
  cancelTask = (id: string) => this.#act('vm/cancelTask', id);
  snapshot = (id: string, options: SnapshotOptions) => this.#request('vm/snapshot', { id, ...options });
  migrate = (id: string, options: MigrateOptions) => this.#requestOfLater('vm/migrate', { id, ...options });

  /** There is one at a time. */
  async receive(offer: Offer): Promise<Arrival> {
    const memory = await this.#requestOfLater('arrival/prepare', offer);
    return {
      memory,
      load: async load => {
        await this.#request('arrival/load', load);
      },
      go: () => this.#request('arrival/go', {}),
      close: async reason => {
        await this.#request('arrival/close', { reason });
      },
    };
  }

  snapshots = (vm: string | null, { check }: { readonly check: boolean }) =>
    this.#request('snapshot/list', { vm, check });
  restore = (vm: string, name: string, options: RestoreOptions) =>
    this.#request('snapshot/restore', { vm, name, ...options });

  async deleteSnapshot(vm: string, name: string | null): Promise<void> {
    await this.#request('snapshot/delete', { vm, name });
  }

  async define(name: string, yaml: string, { replace }: { readonly replace: boolean }): Promise<void> {
    await this.#request('definition/write', { name, yaml, replace });
  }

  sampling(settings: SamplingSettings, listener: (sample: Sample) => void): Sampling {
    const number = this.#nextNumber++;
    const sampling = new RemoteSampling(number, settings, listener, () => this.#samplings.delete(number));
    this.#samplings.set(number, sampling);
    sampling.follow(this.#link);
    return sampling;
  }

  /** Other clients see the name that this process attached with. */
  openConsole(id: string, listener: ConsoleListener, { port = COM1 }: ConsoleOptions = {}): ConsoleLink {
    const vm = this.#mirror.vms.find(vm => vm.id === id);
    if (vm === undefined) throw new Error(`there is no VM ${id}`);
    checkConsole(vm, port);
    const number = this.#nextNumber++;
    const console = new RemoteConsole(number, { id, port }, listener, () => this.#consoles.delete(number));
    this.#consoles.set(number, console);
    console.follow(this.#link);
    return console;
  }

  subscribe(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async startManager(): Promise<void> {
    if (this.#link !== null) return;
    const { startManager } = this.#options;
    if (startManager === undefined) throw this.#outOfReach();
    const { promise: attached, resolve } = Promise.withResolvers<void>();
    const unsubscribe = this.subscribe(event => {
      if (event.kind === 'link' && event.loss === null) resolve();
    });
    try {
      await startManager();
      if (this.#link === null) await attached;
    } finally {
      unsubscribe();
    }
  }

  managerStatus = (): Promise<ManagerStatus> => this.#request('manager/status', {});

  /** Has the manager shut its guests down and end; resolves once it has begun. */
  async stopManager(request: StopRequest): Promise<void> {
    await this.#request('manager/stop', request);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#loss = { kind: 'ended', text: 'this process has detached from it' };
    this.#heartbeat.stop();
    clearTimeout(this.#retry);
    this.#link?.notify('goodbye', {});
    this.#link?.close();
    this.#link = null;
  }

  async #connect(): Promise<void> {
    const { path, terminal, readOnly = false } = this.#options;
    const before = this.#manager;
    const link = await ManagerLink.open(
      path,
      { version: version(), terminal, readOnly },
      this.#options.patienceMs ?? PATIENCE_MS,
      {
        received: (method, params) => this.#received(method, params),
        lost: loss => this.#linkLost(loss),
      },
    );
    if (this.#closed) return link.close();
    this.#manager = link.welcome;
    this.#sameManager = before?.pid === link.welcome.pid && before.startedAt === link.welcome.startedAt;
    // `whole` arrives before this resolves.
    await link.request('subscribe', {});
    if (this.#closed) return link.close();
    this.#link = link;
    this.#heartbeat.start();
    for (const follower of [...this.#samplings.values(), ...this.#consoles.values()]) follower.follow(link);
  }

  #received(method: keyof ManagerNotifications, params: unknown): void {
    const of = params as { readonly sampling: number; readonly console: number };
    if (method === 'whole') {
      this.#mirror.receivedWhole(params as ManagerNotifications['whole'], this.#sameManager);
    } else if (method === 'changed') {
      this.#mirror.receivedChange(params as ManagerNotifications['changed']);
    } else if (method === 'sample') {
      this.#samplings.get(of.sampling)?.received(params as ManagerNotifications['sample']);
    } else if (method === 'console/printed') {
      this.#consoles.get(of.console)?.received(params as ManagerNotifications['console/printed']);
    }
  }

  #linkLost(loss: Loss): void {
    if (this.#link === null) return;
    this.#link = null;
    this.#heartbeat.stop();
    for (const follower of [...this.#samplings.values(), ...this.#consoles.values()]) follower.follow(null);
    this.#lose(loss);
    this.#tryAgain(FIRST_RETRY_MS);
  }

  #lose(loss: Loss): void {
    this.#loss = loss;
    this.#emit({ kind: 'link', loss });
  }

  #tryAgain(afterMs: number): void {
    this.#retry = setTimeout(async () => {
      try {
        await this.#connect();
      } catch (error) {
        if (this.#closed) return;
        this.#stillLost(error as NodeJS.ErrnoException);
        this.#tryAgain(Math.min(afterMs * 2, LONGEST_RETRY_MS));
        return;
      }
      if (!this.#closed) this.#emit({ kind: 'link', loss: null });
    }, afterMs);
  }

  /**
   * After a failed reconnect: reports that the manager died, or that a manager listens again but refuses this client.
   */
  #stillLost(error: NodeJS.ErrnoException): void {
    if (error.code !== undefined) {
      const pid = this.manager.pid;
      if (this.#loss.kind === 'disconnected' && !isRunning(pid)) this.#lose(died(pid));
      return;
    }
    if (error.message === this.#loss.text) return;
    this.#lose({ kind: error instanceof SlowManagerError ? 'slow' : 'refused', text: error.message });
  }

  async #act(method: ActionOnOne, id: string): Promise<void> {
    await this.#request(method, { id });
  }

  /** @throws with the manager's sentence, or why it cannot be reached */
  async #request<Method extends keyof Requests>(
    method: Method,
    params: Requests[Method][0],
  ): Promise<Requests[Method][1]> {
    const link = this.#link;
    if (link === null) throw this.#outOfReach();
    try {
      return await link.request(method, params);
    } catch (error) {
      throw link === this.#link ? error : this.#outOfReach();
    }
  }

  /** A request that the first managers of this protocol do not support. */
  async #requestOfLater<Method extends keyof Requests>(
    method: Method,
    params: Requests[Method][0],
  ): Promise<Requests[Method][1]> {
    try {
      return await this.#request(method, params);
    } catch (error) {
      if (this.manager.version === version() || !isUnknownRequest(error, method)) throw error;
      throw new Error(
        `the manager is vring ${this.manager.version}, which cannot do that: replace it with vring manager restart, which keeps the VMs running`,
      );
    }
  }

  #outOfReach(): Error {
    return new Error(lossSentence(this.#loss));
  }

  #emit(event: EngineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/** Whether this is a manager's answer to a request that it does not support, or not with these parameters. */
function isUnknownRequest(error: unknown, method: string): boolean {
  if (!(error instanceof Error)) return false;
  return (
    error.message.startsWith(`there is no request "${method}"`) ||
    error.message.startsWith(`${method}: its parameters: Unrecognized key`)
  );
}

/** Some losses are about the manager; others quote it. */
function lossSentence({ kind, text }: Loss): string {
  return kind === 'died' || kind === 'slow' ? text : `the manager cannot be reached: ${text}`;
}
