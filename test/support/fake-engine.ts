import type { Clock } from '../../src/clock.ts';
import type { DiskLimits } from '../../src/devices/backends/disk.ts';
import type { NetLimits } from '../../src/devices/backends/net-limits.ts';
import type { DeviceConfig } from '../../src/devices/device-table.ts';
import type { MonitorSize, ScreenResize } from '../../src/devices/display/monitor-size.ts';
import type { ScreenSeen } from '../../src/devices/display/screen-frame.ts';
import type { InputEvent } from '../../src/devices/input/input-event.ts';
import { Consoles } from '../../src/engine/consoles.ts';
import type {
  ConsoleLink,
  ConsoleListener,
  ConsoleOptions,
  Engine,
  ManagerInfo,
  MetricsFormat,
} from '../../src/engine/engine.ts';
import type {
  AttachOptions,
  DetachOptions,
  LimitOptions,
  MediumChange,
} from '../../src/engine/hotplug/hotplug-info.ts';
import type { Migrated, MigrateOptions } from '../../src/engine/migration/migration-info.ts';
import type {
  CounterSource,
  HostInterruptCounts,
  ThreadTimes,
} from '../../src/engine/sampling/counter-source.ts';
import { Sampler } from '../../src/engine/sampling/sampler.ts';
import type { Sample, Sampling, SamplingSettings } from '../../src/engine/sampling/sampling.ts';
import type {
  RestoreOptions,
  SnapshotInfo,
  SnapshotOptions,
} from '../../src/engine/snapshots/snapshot-info.ts';
import { thisTerminalUser } from '../../src/engine/this-terminal.ts';
import { COM1 } from '../../src/engine/vm-consoles.ts';
import {
  type EngineEvent,
  isAlive,
  type LogEntry,
  type Loss,
  type VmInfo,
  type VmState,
} from '../../src/engine/vm-info.ts';
import { version } from '../../src/project-root.ts';
import type { SizeChange } from '../../src/vmm/backends/disk-size.ts';
import {
  ADDRESS,
  addressKey,
  type CounterBlock,
  CounterLayout,
  type CounterShape,
  QUEUE,
  REGION,
  VCPU,
  VCPU_STATE,
} from '../../src/vmm/counters/counters.ts';
import type { Topology } from '../../src/vmm/machine/topology.ts';
import { allocateCounters } from './counters.ts';
import { FakeScreens } from './fake-screen.ts';

/** What a scripted VM does each second. */
export type Script = {
  readonly vcpus: readonly {
    /** By KVM_EXIT_* reason. */
    readonly exits: Readonly<Record<number, { readonly perSecond: number; readonly nsEach: number }>>;
    /** Shares of a second. */
    readonly guest: number;
    readonly kvm: number;
    readonly state?: number;
    /** Its thread ID. */
    readonly thread?: number;
    /** The host CPU that it runs on. */
    readonly hostCpu?: number;
    /** Exits are answered within [2^bucket, 2^(bucket+1)) ns. */
    readonly bucket?: number;
  }[];
  readonly queues?: readonly {
    readonly device: string;
    readonly type: string;
    readonly queue: string;
    readonly requests: number;
    readonly kicks: number;
    readonly interrupts: number;
    readonly suppressed?: number;
    readonly kicksSuppressed?: number;
    /** Times that work was found. */
    readonly batches?: number;
    readonly bytesToGuest: number;
    readonly bytesFromGuest: number;
    readonly inFlight: number;
    /** Requests take [2^bucket, 2^(bucket+1)) ns. */
    readonly bucket: number;
  }[];
  readonly regions?: readonly {
    readonly device: string;
    readonly start: number;
    readonly reads: number;
    readonly writes: number;
    readonly space?: 'port' | 'memory';
  }[];
  readonly addresses?: readonly {
    /** Index of its region. */
    readonly region: number;
    readonly address: number;
    readonly reads: number;
    readonly writes: number;
    readonly nsEach: number;
  }[];
  readonly devices?: Topology['devices'];
  /** Interrupt vectors of host devices. */
  readonly hostInterrupts?: {
    readonly posted: boolean;
    readonly vectors: readonly (Omit<HostInterruptCounts['vectors'][number], 'count'> & {
      readonly perSecond: number;
    })[];
  };
  readonly consoles?: Topology['consoles'];
  readonly serialFirst?: true;
  readonly pinning?: readonly number[];
};

type FakeVm = {
  info: VmInfo;
  script: Script;
  counters: CounterBlock;
  bornAt: number;
  /** By port. */
  consoles: Map<number, FakeConsole>;
};

type FakeConsole = { scrollback: Uint8Array; readonly consoles: Consoles };

/**
 * An engine with scripted VMs: their counters have the values that the script gives for the clock's time, so that each
 * rate is exact, whenever it is sampled. Records the calls that it gets.
 */
export class FakeEngine implements Engine, CounterSource {
  readonly manager: ManagerInfo;
  /** The text of each definition. */
  readonly texts = new Map<string, string>();
  readonly #log: LogEntry[] = [];
  readonly calls: string[] = [];
  /** The screens of its VMs whose topology has a device with a screen. */
  readonly screens = new FakeScreens();
  /** The devices that were attached. */
  readonly attached: DeviceConfig[] = [];
  /** What was typed into each VM, as text. */
  readonly typed = new Map<string, string>();
  /** The size of the terminal that types into a console, as the guest sees it: `80 x 24`. By the keys of `typed`. */
  readonly sizes = new Map<string, string>();
  /** The error of the next action. */
  failure: Error | null = null;
  /** Whether the guests have enabled their power buttons. */
  noticesButton = true;
  readonly #clock: Clock;
  readonly #vms = new Map<string, FakeVm>();
  readonly #listeners = new Set<(event: EngineEvent) => void>();

  /** @param remote whether the VMs appear to run in another process */
  constructor(clock: Clock, { remote = false } = {}) {
    this.#clock = clock;
    this.manager = { pid: 1, version: '0.0.0', startedAt: 0, remote };
  }

  add(name: string, script: Script, info: Partial<VmInfo> = {}): string {
    const id = name;
    const shape = { vcpus: script.vcpus.length, queues: 8, regions: 8 };
    const vm: FakeVm = {
      info: {
        id,
        name,
        state: 'running',
        vcpus: script.vcpus.length,
        memoryBytes: 64 * 2 ** 20,
        reason: null,
        detail: null,
        exitCode: null,
        broken: {},
        startedAt: this.#clock.wall() - 67_000,
        pid: 4711,
        version: version(),
        confinement: null,
        topology: topologyOf(script, shape),
        defined: false,
        problem: null,
        blockers: [],
        autostart: false,
        keyboardHolder: null,
        ...info,
      },
      script,
      counters: blockOf(shape),
      bornAt: this.#clock.now() - 67_000,
      consoles: new Map(),
    };
    this.#vms.set(id, vm);
    this.#emit({ kind: 'vm', vm: vm.info });
    return id;
  }

  /** Prints this on a serial port of the VM. */
  print(id: string, text: string, port = COM1): void {
    const console = this.#console(id, port);
    const bytes = new TextEncoder().encode(text);
    console.scrollback = Buffer.concat([console.scrollback, bytes]);
    console.consoles.printed(bytes);
  }

  #console(id: string, port: number): FakeConsole {
    const vm = this.#vm(id);
    const known = vm.consoles.get(port);
    if (known !== undefined) return known;
    const typedInto = port === COM1 ? id : `${id}/${port}`;
    const console: FakeConsole = {
      scrollback: new Uint8Array(),
      consoles: new Consoles({
        scrollback: () => console.scrollback,
        type: bytes =>
          this.typed.set(typedInto, (this.typed.get(typedInto) ?? '') + new TextDecoder().decode(bytes)),
        room: () => Promise.resolve(),
        resized: ({ columns, rows }) => this.sizes.set(typedInto, `${columns} x ${rows}`),
        keyboardChanged: () => this.become(id, vm.info.state, this.#holders(vm)),
      }),
    };
    vm.consoles.set(port, console);
    return console;
  }

  #holders({ consoles }: FakeVm): Pick<VmInfo, 'keyboardHolder' | 'keyboardHolders'> {
    const holders = [...consoles].map(([port, { consoles }]) => [port, consoles.keyboardHolder] as const);
    const others = holders.flatMap(([port, holder]) =>
      port === COM1 || holder === null ? [] : [[port, holder] as const],
    );
    return {
      keyboardHolder: consoles.get(COM1)?.consoles.keyboardHolder ?? null,
      ...(others.length > 0 && { keyboardHolders: Object.fromEntries(others) }),
    };
  }

  become(id: string, state: VmState, change: Partial<VmInfo> = {}): void {
    const vm = this.#vm(id);
    const { interrupted: _, ...info } = vm.info;
    vm.info = { ...info, ...change, state };
    this.#emit({ kind: 'vm', vm: vm.info });
  }

  /** Replaces the VM's script. Its counters start from zero again. */
  renew(id: string, script: Script): void {
    const vm = this.#vm(id);
    vm.script = script;
    vm.counters = blockOf(vm.counters.layout.shape);
    vm.bornAt = this.#clock.now();
  }

  vms(): readonly VmInfo[] {
    return Array.from(this.#vms.values(), vm => vm.info);
  }

  async start(): Promise<string> {
    throw new Error('a scripted engine starts nothing: add() a VM');
  }

  pause = (id: string) => this.#act('pause', id, () => this.become(id, 'paused'));
  resume = (id: string) => this.#act('resume', id, () => this.become(id, 'running'));
  wake = (id: string) => this.#act('wake', id, () => this.become(id, 'running'));
  reset = (id: string) => this.#act('reset', id, () => {});
  upgrade = async (id: string) => {
    const from = this.#vm(id).info.version ?? '';
    const to = this.manager.version;
    await this.#act('upgrade', id, () => this.become(id, this.#vm(id).info.state, { version: to }));
    return { from, to, stoodStillMs: 12.4 };
  };
  powerButton = async (id: string) => {
    await this.#act('powerButton', id, () => {});
    return { noticed: this.noticesButton };
  };
  changeMedium = async (id: string, device: string, { medium, force }: MediumChange) => {
    await this.#act(
      `change medium of ${device} to ${medium?.path ?? 'none'}${force ? ' by force' : ''} of`,
      id,
      () => {},
    );
  };
  resizeDisk = async (id: string, device: string, { bytes, shrink }: SizeChange) => {
    await this.#act(
      `resize ${device} to ${bytes ?? 'its file'}${shrink ? ', or smaller,' : ''} of`,
      id,
      () => {},
    );
    return bytes ?? 2 ** 30;
  };
  setLink = (id: string, device: string, up: boolean) =>
    this.#act(`${device} link ${up ? 'up' : 'down'}`, id, () => {});
  screen = (id: string, _: string | null, seen: ScreenSeen) => this.screens.updateSince(id, seen);
  limitNic = (id: string, device: string, limits: NetLimits, { persist = false }: LimitOptions = {}) =>
    this.#act(`limit ${device}${persist ? ' for good' : ''} ${JSON.stringify(limits)}`, id, () => {});
  limitDisk = (id: string, device: string, limits: DiskLimits, { persist = false }: LimitOptions = {}) =>
    this.#act(`limit ${device}${persist ? ' for good' : ''} to ${JSON.stringify(limits)} of`, id, () => {});
  /** Requested screen sizes, and their outcomes. */
  readonly resized: (string | null | number)[][] = [];
  resizeAnswer: ScreenResize = 'notified';
  resizeScreen = async (id: string, device: string | null, { width, height }: MonitorSize) => {
    this.#vm(id);
    this.resized.push([device, width, height]);
    return this.resizeAnswer;
  };
  /** Keyboard and pointer input. */
  readonly inputs: InputEvent[] = [];
  input = async (id: string, events: readonly InputEvent[]) => {
    this.#vm(id);
    this.inputs.push(...events);
    return events.length;
  };
  guestFacts = async (id: string) => {
    const facts = this.#vm(id).info.guest;
    if (facts === undefined) throw new Error('the guest agent does not answer');
    return facts;
  };
  guestExec = async () => ({ exitCode: 0, signal: null, stdout: '', stderr: '', truncated: false });
  setBalloon = (id: string, bytes: number) => this.#act(`set the balloon to ${bytes} of`, id, () => {});
  setVcpus = async (id: string, count: number) => {
    await this.#act(`set ${count} vCPUs of`, id, () => {});
    return { vcpus: count, running: isAlive(this.#vm(id).info), noticed: true };
  };
  attach = async (id: string, device: DeviceConfig, { persist }: AttachOptions) => {
    const { type, name = `${type}0` } = device;
    await this.#act(`attach ${device.name ?? type}${persist ? ' for good' : ''} to`, id, () => {
      this.attached.push(device);
    });
    const running = isAlive(this.#vm(id).info);
    const place = { bus: 'pci.0', addr: '05.0', address: running ? '00:05.0' : null };
    return { name, ...place, running, noticed: running };
  };
  detach = (id: string, device: string, { force, persist }: DetachOptions) =>
    this.#act(`detach ${device}${force ? ' by force' : ''}${persist ? ' for good' : ''} from`, id, () => {});
  cancelDetach = (id: string, device: string) => this.#act(`keep ${device} in`, id, () => {});
  kill = (id: string) => this.#act('kill', id, () => this.become(id, 'off', { reason: 'it was killed' }));
  restart = (id: string) =>
    this.#act('restart', id, () =>
      this.become(id, 'running', { reason: null, startedAt: this.#clock.wall() }),
    );
  remove = (id: string) =>
    this.#act('remove', id, () => {
      this.#vms.delete(id);
      this.#emit({ kind: 'removed', id });
    });

  rename = (id: string, name: string) =>
    this.#act(`rename to ${name}`, id, () => {
      const { info, script } = this.#vm(id);
      this.#vms.delete(id);
      this.#emit({ kind: 'removed', id });
      this.add(name, script, { ...info, id: name, name });
    });

  /** What `snapshots` returns. */
  stored: SnapshotInfo[] = [];

  snapshot = async (id: string, { name = 'now', disks }: SnapshotOptions): Promise<SnapshotInfo> => {
    await this.#act(`snapshot ${name}${disks ? ' with disks' : ''} of`, id, () => {
      this.stored.push(
        snapshotInfo({ vm: id, name, disks: disks ? 'copied' : 'outside', createdAt: this.#clock.wall() }),
      );
      this.become(id, this.#vm(id).info.state, { snapshots: this.#namesOf(id) });
    });
    return this.stored.at(-1)!;
  };
  save = (id: string) =>
    this.#act('save', id, () => this.become(id, 'off', { saved: { at: 0, automatic: false } }));
  migrate = async (id: string, options: MigrateOptions): Promise<Migrated> => {
    const { as: name = id, destination } = options;
    await this.#act(`migrate to ${destination}`, id, () => {});
    return { name, destination, totalMs: 1500, downtimeMs: 40, rounds: 3, sent: 2 ** 30 };
  };
  receive = async (): Promise<never> => {
    throw new Error('a fake engine receives no VMs');
  };
  cancelTask = (id: string) => this.#act('cancel task of', id, () => {});
  snapshots = async (vm: string | null): Promise<SnapshotInfo[]> =>
    this.stored.filter(info => vm === null || info.vm === vm);
  restore = async (vm: string, name: string, { as = vm, force = false }: RestoreOptions): Promise<string> => {
    await this.#act(
      `restore ${name}${as === vm ? '' : ` as ${as}`}${force ? ' by force' : ''} of`,
      vm,
      () => {},
    );
    return as;
  };
  deleteSnapshot = (vm: string, name: string | null) =>
    this.#act(`delete ${name ?? 'saved state'} of`, vm, () => {
      this.stored = this.stored.filter(info => info.vm !== vm || info.name !== name);
      this.become(vm, this.#vm(vm).info.state, { snapshots: this.#namesOf(vm) });
    });

  #namesOf(vm: string): string[] {
    return this.stored.flatMap(info => (info.vm === vm && info.name !== null ? [info.name] : []));
  }

  counters(id: string): CounterBlock {
    const vm = this.#vm(id);
    count(vm, (this.#clock.now() - vm.bornAt) / 1000);
    return vm.counters;
  }

  threadTimes(id: string): readonly ThreadTimes[] {
    const vm = this.#vm(id);
    const ns = (this.#clock.now() - vm.bornAt) * 1e6;
    return vm.script.vcpus.map(({ guest, kvm, hostCpu, thread }) => ({
      guestNs: guest * ns,
      userNs: 0,
      systemNs: kvm * ns,
      hostCpu: hostCpu ?? null,
      id: thread ?? null,
    }));
  }

  hostInterrupts(id: string): HostInterruptCounts | null {
    const { script, bornAt } = this.#vm(id);
    if (script.hostInterrupts === undefined) return null;
    const seconds = (this.#clock.now() - bornAt) / 1000;
    const { posted, vectors } = script.hostInterrupts;
    return {
      posted,
      vectors: vectors.map(({ perSecond, ...vector }) => ({
        ...vector,
        count: Math.floor(perSecond * seconds),
      })),
    };
  }

  sampling(settings: SamplingSettings, listener: (sample: Sample) => void): Sampling {
    return new Sampler(this, this.#clock, settings, listener);
  }

  openConsole(
    id: string,
    listener: ConsoleListener,
    { watcher = thisTerminalUser(), port = COM1 }: ConsoleOptions = {},
  ): ConsoleLink {
    return this.#console(id, port).consoles.open(listener, watcher);
  }

  scrollback(id: string): Uint8Array {
    return this.#console(id, COM1).scrollback;
  }

  log(): readonly LogEntry[] {
    return this.#log;
  }

  /** Logs an event. */
  note(level: LogEntry['level'], vm: string | null, text: string): void {
    const entry = { number: this.#log.length + 1, at: this.#clock.wall(), vm, level, text };
    this.#log.push(entry);
    this.#emit({ kind: 'log', entry });
  }

  define = async (name: string, yaml: string): Promise<void> => {
    this.calls.push(`define ${name}`);
    const failure = this.failure;
    this.failure = null;
    if (failure) throw failure;
    this.texts.set(name, yaml);
    if (!this.#vms.has(name)) this.add(name, { vcpus: [] }, { state: 'off', defined: true });
  };

  async definition(name: string): Promise<string> {
    const text = this.texts.get(name);
    if (text === undefined) throw new Error(`there is no definition of ${name}`);
    return text;
  }

  /** The process that runs the VMs becomes unreachable; null if it is back. */
  lose(loss: Loss | null): void {
    this.#emit({ kind: 'link', loss });
  }

  async startManager(): Promise<void> {
    this.calls.push('startManager');
    this.lose(null);
  }

  async metrics(format: MetricsFormat): Promise<string> {
    return `# ${format}\n`;
  }

  subscribe(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.calls.push('close');
  }

  async #act(name: string, id: string, effect: () => void): Promise<void> {
    this.calls.push(`${name} ${this.#vm(id).info.name}`);
    const failure = this.failure;
    this.failure = null;
    if (failure) throw failure;
    effect();
  }

  #vm(id: string): FakeVm {
    const vm = this.#vms.get(id);
    if (vm === undefined) throw new Error(`there is no VM ${id}`);
    return vm;
  }

  #emit(event: EngineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

export function snapshotInfo(info: Partial<SnapshotInfo>): SnapshotInfo {
  return {
    vm: 'web',
    name: 'first',
    createdAt: 0,
    bytes: 2 ** 20,
    memoryBytes: 64 * 2 ** 20,
    parent: null,
    disks: 'outside',
    paused: false,
    vring: '0.1.0',
    problems: [],
    doubtful: [],
    checked: null,
    ...info,
  };
}

function topologyOf(script: Script, shape: Topology['shape']): Topology {
  return {
    shape,
    devices: script.devices ?? [],
    ...(script.serialFirst && { serialFirst: true }),
    consoles: script.consoles ?? (script.devices === undefined ? [] : [{ port: COM1, name: 'com1' }]),
    pinning: script.pinning ?? [],
    vcpus: script.vcpus.length,
    queues: (script.queues ?? []).map(({ device, type, queue }, slot) => ({
      id: slot + 1,
      slot,
      device,
      type,
      queue,
      size: 256,
    })),
    regions: (script.regions ?? []).map(({ device, start, space = 'port' }, index) => ({
      id: index + 100,
      index,
      device,
      space,
      start,
      size: 8,
    })),
  };
}

/** Writes the counters that the script gives after this many seconds. */
function blockOf(shape: CounterShape): CounterBlock {
  return { words: allocateCounters(shape), layout: new CounterLayout(shape) };
}

function count({ script, counters: { words: counters, layout } }: FakeVm, seconds: number): void {
  const put = (word: number, value: number) => {
    counters[word] = BigInt(Math.floor(value));
  };
  for (const [index, vcpu] of script.vcpus.entries()) {
    const base = layout.vcpu(index);
    let deviceNs = 0;
    for (const [reason, { perSecond, nsEach }] of Object.entries(vcpu.exits)) {
      put(base + VCPU.exits + Number(reason), perSecond * seconds);
      put(base + VCPU.exitNs + Number(reason), perSecond * seconds * nsEach);
      deviceNs += perSecond * seconds * nsEach;
    }
    const exits = Object.values(vcpu.exits).reduce((sum, { perSecond }) => sum + perSecond, 0);
    if (vcpu.bucket !== undefined) put(base + VCPU.latency + vcpu.bucket, exits * seconds);
    put(base + VCPU.tid, vcpu.thread ?? 0);
    put(base + VCPU.deviceNs, deviceNs);
    put(base + VCPU.runNs, seconds * 1e9 - deviceNs);
    put(base + VCPU.state, vcpu.state ?? VCPU_STATE.running);
  }
  for (const [slot, queue] of (script.queues ?? []).entries()) {
    const base = layout.queue(slot);
    put(base + QUEUE.id, slot + 1);
    put(base + QUEUE.requests, queue.requests * seconds);
    put(base + QUEUE.kicks, queue.kicks * seconds);
    put(base + QUEUE.interrupts, queue.interrupts * seconds);
    put(base + QUEUE.interruptsSuppressed, (queue.suppressed ?? 0) * seconds);
    put(base + QUEUE.kicksSuppressed, (queue.kicksSuppressed ?? 0) * seconds);
    put(base + QUEUE.batches, (queue.batches ?? 0) * seconds);
    put(base + QUEUE.latencyNs, queue.inFlight * seconds * 1e9);
    put(base + QUEUE.maxInFlight, queue.inFlight * 2);
    put(base + QUEUE.bytesToGuest, queue.bytesToGuest * seconds);
    put(base + QUEUE.bytesFromGuest, queue.bytesFromGuest * seconds);
    put(base + QUEUE.inFlight, queue.inFlight);
    put(base + QUEUE.latency + queue.bucket, queue.requests * seconds);
  }
  for (const [index, region] of (script.regions ?? []).entries()) {
    const base = layout.region(index);
    put(base + REGION.id, index + 100);
    put(base + REGION.reads, region.reads * seconds);
    put(base + REGION.writes, region.writes * seconds);
    put(base + REGION.ns, (region.reads + region.writes) * seconds * 1000);
  }
  for (const [entry, { region, address, reads, writes, nsEach }] of (script.addresses ?? []).entries()) {
    const base = layout.address(entry);
    counters[base + ADDRESS.key] = addressKey(region, address);
    put(base + ADDRESS.reads, reads * seconds);
    put(base + ADDRESS.writes, writes * seconds);
    put(base + ADDRESS.ns, (reads + writes) * seconds * nsEach);
  }
}
