import { systemClock } from '../clock.ts';
import { type DiskLimits, limitsText } from '../devices/backends/disk.ts';
import { type NetLimits, netLimitsText } from '../devices/backends/net-limits.ts';
import type { MonitorSize, ScreenResize } from '../devices/display/monitor-size.ts';
import type { ScreenSeen, ScreenUpdate } from '../devices/display/screen-frame.ts';
import type { InputEvent } from '../devices/input/input-event.ts';
import type { DeviceConfig } from '../devices/registry.ts';
import { version } from '../project-root.ts';
import { printable } from '../text/printable.ts';
import { sizeText } from '../text/size.ts';
import type { SizeChange } from '../vmm/backends/disk-size.ts';
import type { CounterBlock } from '../vmm/counters/counters.ts';
import { type MachineConfig, type MachineConfigInput, parseMachineConfig } from '../vmm/machine/config.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';
import { acrossHandOvers } from './across-hand-overs.ts';
import { type Definitions, NO_DEFINITIONS } from './definitions.ts';
import { resizeDisk } from './disks.ts';
import type {
  ConsoleLink,
  ConsoleListener,
  ConsoleOptions,
  Engine,
  ManagerInfo,
  MetricsFormat,
  PressedButton,
  Upgraded,
} from './engine.ts';
import { removeVariables, renameVariables, withFirmwareFiles } from './firmware/variables.ts';
import { execInGuest, type GuestProgram, type GuestProgramEnd } from './guest-agent/exec.ts';
import { whileFrozen } from './guest-agent/frozen.ts';
import type { GuestFacts } from './guest-agent/guest-facts.ts';
import { pressPowerButton } from './guest-agent/power-button.ts';
import type { LenderOptions } from './host-devices/lender.ts';
import { refuseHostDevices } from './host-devices/refusal.ts';
import { VmHostDevices } from './host-devices/vm-host-devices.ts';
import { checkedDevice } from './hotplug/attach.ts';
import { changeMedium } from './hotplug/change-medium.ts';
import type {
  AttachedDevice,
  AttachOptions,
  DetachOptions,
  LimitOptions,
  MediumChange,
  SetVcpusOptions,
  VcpusChanged,
} from './hotplug/hotplug-info.ts';
import { VmDevices } from './hotplug/vm-devices.ts';
import {
  type FoundMachine,
  type Machines,
  type RestoreFiles,
  unregistered,
  type VmPlace,
} from './machines/machine.ts';
import { parseScreenResize, parseScreenUpdate } from './machines/machine-messages.ts';
import { threadMachines } from './machines/thread-machine.ts';
import type { Arrival, Migrated, MigrateOptions, Offer } from './migration/migration-info.ts';
import { VmMigrations } from './migration/vm-migrations.ts';
import { takingAtStart } from './networks/open-wires.ts';
import { VmNetworks } from './networks/vm-networks.ts';
import { withMacAddresses } from './networks/vm-nics.ts';
import { RestartPolicy } from './restart-policy.ts';
import type { CounterSource, HostInterruptCounts, ThreadTimes } from './sampling/counter-source.ts';
import { Sampler } from './sampling/sampler.ts';
import type { Sample, Sampling, SamplingSettings } from './sampling/sampling.ts';
import type { ServedVnc } from './served-vnc.ts';
import type { RestoreOptions, SnapshotInfo, SnapshotOptions } from './snapshots/snapshot-info.ts';
import { type SnapshotFolders, VmSnapshots } from './snapshots/vm-snapshots.ts';
import { thisTerminalUser } from './this-terminal.ts';
import { removeTpmState, renameTpmState, withTpmState } from './tpm/state-folder.ts';
import type { Vm } from './vm.ts';
import { COM1, checkConsole } from './vm-consoles.ts';
import type { EngineEvent, LogEntry, VmInfo } from './vm-info.ts';
import { VmList } from './vm-list.ts';
import { logChanges } from './vm-log.ts';
import { VmTasks } from './vm-tasks.ts';

const WARM_AFTER_MS = 1000;
const ADOPT_MS = 1000;

export type LocalEngineOptions = {
  readonly definitions?: Definitions;
  /** Reserves a VM's name against other processes. @throws naming the process that runs it */
  readonly takePlace?: (name: string) => VmPlace;
  /** Where the VMs' machines run; default: on threads of this process. */
  readonly machines?: Machines;
  /** Writes metrics of this host and the engine's VMs for a monitoring system; default: no metrics. */
  readonly metrics?: (engine: LocalEngine, format: MetricsFormat) => Promise<string>;
  /** Where snapshots are kept; default: none are. */
  readonly snapshots?: SnapshotFolders;
  /** How VMs get host devices; default: they get none. */
  readonly hostDevices?: LenderOptions;
  /** The folder of UEFI variables; default: they end with their VM's machine. */
  readonly variables?: string;
  /** The folder of TPM states; default: they end with their VM's machine. */
  readonly tpms?: string;
  /** VMs that were running when the previous manager ended unexpectedly. */
  readonly interrupted?: readonly InterruptedVm[];
};

export type InterruptedVm = {
  readonly name: string;
  /** Why it ended, in one sentence. */
  readonly reason: string;
  /** Of a VM without a definition; null if it has one. */
  readonly config: MachineConfig | null;
};

/** Runs VMs, each in its own process or on a thread of this one. */
export class LocalEngine implements Engine, CounterSource {
  readonly manager: ManagerInfo = {
    pid: process.pid,
    version: version(),
    startedAt: Date.now(),
    remote: false,
  };
  readonly #definitions: Definitions;
  readonly #takePlace: (name: string) => VmPlace;
  readonly #machines: Machines;
  readonly #metrics: ((engine: LocalEngine, format: MetricsFormat) => Promise<string>) | undefined;
  readonly #list: VmList;
  readonly #restarts = new RestartPolicy();
  readonly #tasks = new VmTasks();
  readonly #snapshots: VmSnapshots;
  readonly #migrations: VmMigrations;
  readonly #variables: string | null;
  readonly #tpms: string | null;
  readonly #hostDevices: VmHostDevices;
  readonly #networks: VmNetworks;
  readonly #devices: VmDevices;
  readonly #unwatch: () => void;
  #warming: NodeJS.Timeout | undefined;
  #ending = false;

  constructor({
    definitions = NO_DEFINITIONS,
    takePlace = () => unregistered(),
    machines = threadMachines,
    metrics,
    snapshots,
    hostDevices,
    variables,
    tpms,
    interrupted = [],
  }: LocalEngineOptions = {}) {
    this.#variables = variables ?? null;
    this.#tpms = tpms ?? null;
    this.#metrics = metrics;
    this.#definitions = definitions;
    this.#takePlace = takePlace;
    this.#machines = machines;
    const note = (level: LogEntry['level'], text: string, vm: string | null) => this.note(level, text, vm);
    const followDefinitions = () => this.#list.followDefinitions();
    this.#list = new VmList({
      definitions,
      giveBack: vm => this.#hostDevices.giveBack(vm),
      changed: (vm, before) => this.#changed(vm, before),
      defined: name => this.#snapshots.refresh(name),
    });
    this.#hostDevices = new VmHostDevices(hostDevices ?? null, { vm: name => this.#list.get(name), note });
    this.#networks = new VmNetworks(hostDevices?.lock ?? null, { vms: () => this.#list, note });
    this.#devices = new VmDevices({
      definitions,
      hostDevices: this.#hostDevices,
      networks: this.#networks,
      followDefinitions,
      note,
    });
    this.#migrations = new VmMigrations({
      ...{ definitions, note, followDefinitions },
      tasks: this.#tasks,
      variables: this.#variables,
      vm: name => this.#list.get(name),
      add: name => this.#list.addUndefined(name),
      forget: vm => this.#list.forget(vm),
      remove: vm => this.remove(vm.name),
      run: (vm, config, restore) => this.#run(vm, config, restore),
    });
    this.#snapshots = new VmSnapshots(snapshots ?? null, {
      tasks: this.#tasks,
      definitions,
      vm: name => this.#list.get(name),
      place: name => this.#list.getOrAdd(name),
      run: (vm, config, restore) => this.#run(vm, config, restore),
      followDefinitions,
      note,
    });
    machines.warm();
    process.on('exit', this.#abandonAll);
    followDefinitions();
    for (const vm of interrupted) this.#takeInterrupted(vm);
    this.#snapshots.load();
    this.#unwatch = definitions.watch(followDefinitions);
  }

  /**
   * Loads definitions that have just changed, without waiting for files to settle: a client that has just written one
   * expects its VM.
   * @throws DefinitionFileError when the folder cannot be read; the last known definitions stay
   */
  readDefinitions(): void {
    this.#list.followDefinitions();
  }

  vms(): readonly VmInfo[] {
    return this.#list.infos;
  }

  log(): readonly LogEntry[] {
    return this.#list.log;
  }

  /** Adds to the log. An entry about a running VM is kept by its machine too, which may outlive this process. */
  note(level: LogEntry['level'], text: string, vm: string | null = null): void {
    this.#list.note(level, text, vm);
  }

  async start(input: MachineConfigInput): Promise<string> {
    const config = parseMachineConfig(input);
    const vm = this.#list.addUndefined(config.name);
    this.#tasks.refuseOther(vm);
    try {
      await this.#run(vm, config);
    } catch (error) {
      // It never ran, so its error is all there is to know about it. It may have been killed and restarted since.
      if (!vm.alive && vm.defined === null) this.#list.forget(vm);
      throw error;
    }
    return vm.name;
  }

  async restart(id: string): Promise<void> {
    const vm = this.#vm(id);
    if (vm.saved !== null && !vm.alive) {
      await this.#snapshots.resume(vm);
      return;
    }
    const machine = vm.defined === null ? vm.config : parseMachineConfig(this.#definitions.machine(id));
    if (machine === null) throw new Error(`${id} no longer has a definition: there is nothing to start`);
    await this.#run(vm, machine);
  }

  /**
   * `restart` without a waiting client: the log reports why it could not start. @param config default: that of its
   * definition
   */
  async startUnattended(id: string, config: MachineConfig | null = null): Promise<void> {
    const vm = this.#vm(id);
    try {
      await (config === null ? this.restart(id) : this.#run(vm, config));
    } catch (error) {
      const { message } = error as Error;
      // The machine's own errors are logged already.
      if (vm.info.reason !== message) this.note('error', `could not start: ${message}`, id);
    }
  }

  async pause(id: string): Promise<void> {
    await this.#vm(id).command('pause', {});
  }

  async resume(id: string): Promise<void> {
    const vm = this.#vm(id);
    // Without working locks, its disks would not keep it from running twice.
    if (vm.task?.kind === 'migrate' && vm.task.phase === 'switching')
      throw new Error(`${id} is being handed to ${vm.task.name}: wait until that is over`);
    await vm.command('resume', {});
  }

  async wake(id: string): Promise<void> {
    await this.#vm(id).command('wake', {});
  }

  async reset(id: string): Promise<void> {
    await this.#vm(id).command('reset', {});
  }

  async powerButton(id: string): Promise<PressedButton> {
    return await pressPowerButton(this.#vm(id), (level, text) => this.note(level, text, id));
  }

  async upgrade(id: string): Promise<Upgraded> {
    const vm = this.#vm(id);
    if (this.#ending) throw new Error(`${id} is not upgraded: the process that runs the VMs is ending`);
    const obstacle = this.#machines.whyNotUpgraded?.() ?? null;
    if (obstacle !== null) throw new Error(obstacle);
    try {
      refuseHostDevices(vm, 'be upgraded while it runs');
      return { ...(await vm.upgrade(this.#machines)), to: this.manager.version };
    } catch (error) {
      if (vm.alive) this.note('warning', `not upgraded: ${(error as Error).message}`, id);
      throw error;
    } finally {
      this.#warmLater();
    }
  }

  async resizeDisk(id: string, device: string, change: SizeChange): Promise<number> {
    const bytes = await resizeDisk(this.#vm(id), device, change);
    this.note('info', `disk ${device} has ${sizeText(bytes)} now`, id);
    return bytes;
  }

  async limitDisk(
    id: string,
    device: string,
    limits: DiskLimits,
    { persist = false }: LimitOptions = {},
  ): Promise<void> {
    const vm = this.#vm(id);
    const set = () => vm.command('limit-disk', { device, limits });
    await this.#devices.limit(vm, device, limits, { persist, set });
    this.note('info', `limits of disk ${device}: ${limitsText(limits)}`, id);
  }

  async setLink(id: string, device: string, up: boolean): Promise<void> {
    await this.#vm(id).command('set-link', { device, up });
    this.note('info', `the link of ${device} is ${up ? 'up' : 'down'}`, id);
  }

  async screen(id: string, device: string | null, seen: ScreenSeen): Promise<ScreenUpdate | null> {
    const vm = this.#vm(id);
    // The screen is drawn from scratch there: its viewers get all of it.
    return parseScreenUpdate(
      await acrossHandOvers(
        () => vm.command('screen', { device, seen }),
        () => vm.alive,
      ),
    );
  }

  async resizeScreen(id: string, device: string | null, size: MonitorSize): Promise<ScreenResize> {
    return parseScreenResize(await this.#vm(id).command('resize-screen', { device, ...size }));
  }

  async limitNic(
    id: string,
    device: string,
    limits: NetLimits,
    { persist = false }: LimitOptions = {},
  ): Promise<void> {
    const vm = this.#vm(id);
    const set = () => vm.command('limit-nic', { device, limits });
    await this.#devices.limit(vm, device, limits, { persist, set });
    this.note('info', `limits of network card ${device}: ${netLimitsText(limits)}`, id);
  }

  /** Records where a VM's VNC server listens and how it is confined; null once it has ended. */
  servesVnc(id: string, served: ServedVnc | null): void {
    const vm = this.#list.get(id);
    if (vm !== undefined) vm.servedVnc = served;
  }

  async input(id: string, events: readonly InputEvent[]): Promise<number> {
    const { taken } = await this.#vm(id).command('input', { events });
    return taken;
  }

  async guestFacts(id: string): Promise<GuestFacts> {
    return await this.#vm(id).agent.read();
  }

  async guestExec(id: string, program: GuestProgram): Promise<GuestProgramEnd> {
    return await execInGuest(this.#vm(id).agent.agent, program);
  }

  async setBalloon(id: string, target: number): Promise<void> {
    await this.#vm(id).command('set-balloon', { bytes: target });
    this.note('info', `the guest should keep ${sizeText(target)} of its memory`, id);
  }

  async setVcpus(id: string, count: number, options: SetVcpusOptions = {}): Promise<VcpusChanged> {
    return await this.#devices.setVcpus(this.#vm(id), count, options);
  }

  async changeMedium(id: string, device: string, change: MediumChange): Promise<void> {
    await changeMedium(this.#vm(id), device, change);
    const text =
      change.medium === null ? `${device} is empty now` : `${device} has ${change.medium.path} now`;
    this.note('info', text, id);
  }

  async attach(id: string, device: DeviceConfig, options: AttachOptions): Promise<AttachedDevice> {
    const vm = this.#vm(id);
    const mac = this.#networks.macFor(vm, checkedDevice(device));
    return await this.#devices.attach(vm, mac === null ? device : { ...device, mac }, options);
  }

  async detach(id: string, device: string, options: DetachOptions): Promise<void> {
    await this.#devices.detach(this.#vm(id), device, options);
  }

  async cancelDetach(id: string, device: string): Promise<void> {
    await this.#vm(id).command('cancel-unplug', { device });
  }

  async kill(id: string): Promise<void> {
    await this.#vm(id).kill();
  }

  async remove(id: string): Promise<void> {
    const vm = this.#vm(id);
    if (vm.alive) throw new Error(`${id} is ${vm.info.state}: end it before removing it`);
    this.#tasks.refuseOther(vm);
    if (vm.saved !== null)
      throw new Error(`${id} is saved: start it, or discard that with vring vm delete-snapshot ${id} --all`);
    if (vm.defined !== null) this.#definitions.remove(id);
    removeVariables(this.#variables, id);
    removeTpmState(this.#tpms, id);
    this.#list.forget(vm);
  }

  async rename(id: string, name: string): Promise<void> {
    const vm = this.#vm(id);
    if (vm.alive) throw new Error(`${id} is ${vm.info.state}: shut it down before you rename it`);
    this.#tasks.refuseOther(vm);
    if (!VM_NAME.pattern.test(name))
      throw new Error(`"${printable(name)}" cannot be the name of a VM: expected ${VM_NAME.rule}`);
    if (this.#list.get(name) !== undefined)
      throw new Error(`there is already a VM named ${name}: choose another name`);
    // No other process may run it in the meantime, under either name.
    const places: VmPlace[] = [];
    try {
      for (const each of [id, name]) places.push(this.#takePlace(each));
      this.#snapshots.rename(id, name);
      renameVariables(this.#variables, id, name);
      renameTpmState(this.#tpms, id, name);
      if (vm.defined !== null) this.#definitions.rename(id, name);
    } finally {
      for (const place of places) place.release();
    }
    this.#list.rename(vm, name);
    this.note('info', `renamed from ${id}`, name);
  }

  async snapshot(id: string, options: SnapshotOptions): Promise<SnapshotInfo> {
    const vm = this.#vm(id);
    const { quiesce = false, ...rest } = options;
    if (!quiesce) return await this.#snapshots.take(vm, rest);
    const { state } = vm.info;
    if (state === 'paused' || state === 'suspended')
      throw new Error(`${id} is ${state}: its guest cannot freeze its file systems`);
    const warn = (text: string) => this.note('warning', text, id);
    return await whileFrozen(vm.agent.agent, warn, () => this.#snapshots.take(vm, rest));
  }

  /** @param automatic this process is ending, and the next one should start the VM again */
  async save(id: string, automatic = false): Promise<void> {
    await this.#snapshots.save(this.#vm(id), automatic);
  }

  async cancelTask(id: string): Promise<void> {
    this.#tasks.cancel(this.#vm(id));
  }

  async migrate(id: string, options: MigrateOptions): Promise<Migrated> {
    return await this.#migrations.send(this.#vm(id), options);
  }

  async receive(offer: Offer): Promise<Arrival> {
    if (this.#ending) throw new Error(`${offer.as} is not received: the manager there is ending`);
    return this.#migrations.receive(offer);
  }

  async snapshots(
    vm: string | null,
    { check }: { readonly check: boolean },
  ): Promise<readonly SnapshotInfo[]> {
    return await this.#snapshots.list(vm, check);
  }

  async restore(vm: string, name: string, options: RestoreOptions): Promise<string> {
    return await this.#snapshots.restore(vm, name, options);
  }

  async deleteSnapshot(vm: string, name: string | null): Promise<void> {
    await this.#snapshots.remove(vm, name);
  }

  async define(name: string, yaml: string, options: { readonly replace: boolean }): Promise<void> {
    this.#definitions.save(name, yaml, options);
    this.#list.followDefinitions();
  }

  async definition(name: string): Promise<string> {
    return this.#definitions.text(name);
  }

  counters(id: string): CounterBlock | null {
    return this.#vm(id).counters;
  }

  threadTimes(id: string): readonly ThreadTimes[] {
    return this.#vm(id).threadTimes;
  }

  hostInterrupts(id: string): HostInterruptCounts | null {
    return this.#hostDevices.interrupts(this.#vm(id));
  }

  sampling(settings: SamplingSettings, listener: (sample: Sample) => void): Sampling {
    return new Sampler(this, systemClock, settings, listener);
  }

  openConsole(
    id: string,
    listener: ConsoleListener,
    { port = COM1, watcher = thisTerminalUser() }: ConsoleOptions = {},
  ): ConsoleLink {
    const vm = this.#vm(id);
    checkConsole(vm.info, port);
    return vm.consoles.open(port, listener, watcher);
  }

  /** Types into the first serial port, whichever client holds the keyboard. */
  type(id: string, bytes: Uint8Array): void {
    this.#vm(id).type(COM1, bytes);
  }

  /** The last bytes printed by the first serial port, oldest first, at most 64 KiB. */
  scrollback(id: string): Uint8Array {
    return this.#vm(id).consoles.scrollback(COM1);
  }

  subscribe(listener: (event: EngineEvent) => void): () => void {
    return this.#list.subscribe(listener);
  }

  async metrics(format: MetricsFormat): Promise<string> {
    if (this.#metrics === undefined) throw new Error('this process writes no metrics');
    return this.#metrics(this, format);
  }

  async startManager(): Promise<void> {}

  /** The configuration of a VM without a definition; null for a VM that has one. */
  configWithoutDefinition(id: string): MachineConfig | null {
    const vm = this.#vm(id);
    return vm.defined === null ? vm.config : null;
  }

  get ending(): boolean {
    return this.#ending;
  }

  /** Refuses all further starts: such a VM would only have to be ended again. */
  refuseStarts(): void {
    this.#ending = true;
  }

  async close(): Promise<void> {
    this.refuseStarts();
    this.#unwatch();
    // A stuck VM must not delay the others.
    await Promise.allSettled(Array.from(this.#list, vm => vm.kill()));
    await this.#leave();
  }

  /** Leaves the VMs to the next manager: those whose machines have their own processes keep running. */
  async leaveRunning(): Promise<void> {
    this.refuseStarts();
    this.#unwatch();
    await this.#leave();
  }

  async #leave(): Promise<void> {
    clearTimeout(this.#warming);
    this.#hostDevices.close();
    this.#networks.close();
    await this.#machines.cool();
    process.off('exit', this.#abandonAll);
  }

  async #run(vm: Vm, given: MachineConfig, restore: RestoreFiles | null = null): Promise<void> {
    if (this.#ending) throw new Error(`${vm.name} is not started: the process that runs the VMs is ending`);
    // Its name is reserved.
    if (vm.task?.kind === 'receive' && !restore?.arrives) this.#tasks.refuseOther(vm);
    const config = withTpmState(
      withFirmwareFiles({ ...given, devices: withMacAddresses(vm.name, given.devices) }, this.#variables),
      this.#tpms,
    );
    this.#networks.refuseSameMac(vm.name, config.devices);
    const take = takingAtStart(config, this.#hostDevices.taking(vm, config), this.#networks);
    await vm.start(config, this.#machines, () => this.#takePlace(vm.name), restore, take);
    this.#warmLater();
  }

  /**
   * Gives back what earlier processes took from the host for VMs that are gone. Call it once the running VMs are known.
   */
  async recoverHostDevices(): Promise<void> {
    await this.#hostDevices.recover();
  }

  /** Brings up vring's networks that are set to start. */
  async bringNetworksUp(): Promise<void> {
    await this.#networks.bringAllUp();
  }

  #changed(vm: Vm, before: VmInfo | null): void {
    const { info } = vm;
    if (vm.adopting) return;
    this.#hostDevices.giveBackDetached(vm);
    this.#networks.follow(before, info);
    logChanges(before, info, (level, text) => {
      for (const event of vm.limited({ at: Date.now(), level, text }))
        this.note(event.level, event.text, vm.name);
    });
    // A crash during a kill leaves the VM where it was meant to be.
    const wanted = before?.state !== 'crashed' && !vm.wasKilled;
    if (wanted && info.state === 'crashed' && !info.interrupted) this.#afterCrash(vm);
  }

  #afterCrash(vm: Vm): void {
    if (vm.defined?.onCrash !== 'restart' || this.#ending) return;
    if (!this.#restarts.allow(vm.name, performance.now())) {
      this.note('error', 'crashed too many times in a row: not restarted', vm.name);
      return;
    }
    this.note('info', 'restarting, as its definition says', vm.name);
    // With the devices that its guest had: a crash must not lose any.
    void this.startUnattended(vm.name, vm.devices?.changed ? vm.config : null);
  }

  /**
   * Takes over machines that an earlier manager started. Resolves once the state of each is known, or after a second.
   */
  async adopt(machines: readonly FoundMachine[]): Promise<void> {
    const adopted = machines.map(async machine => {
      const { name } = machine.config;
      const vm = this.#list.getOrAdd(name);
      await vm.adopt(machine);
      if (vm.alive) this.note('info', 'found running, and taken over by this manager', name);
    });
    await Promise.race([Promise.all(adopted), new Promise(resolve => setTimeout(resolve, ADOPT_MS))]);
  }

  /**
   * Creates again what later managers need to find the machines, where it was removed.
   * @param failed called for each machine that no later manager will find
   */
  async renewPlaces(failed: (vm: string, reason: string) => void): Promise<void> {
    const renewed = [...this.#list].map(async vm => {
      try {
        if (!(await vm.renewPlace())) return;
        this.note(
          'warning',
          'its files in the runtime folder were removed; they have been created again',
          vm.name,
        );
      } catch (error) {
        failed(vm.name, (error as Error).message);
      }
    });
    await Promise.all(renewed);
  }

  #takeInterrupted({ name, reason, config }: InterruptedVm): void {
    const vm = config === null ? this.#list.get(name) : this.#list.getOrAdd(name);
    if (vm === undefined) this.note('error', `${reason}; its definition is gone`, name);
    else vm.interrupt(reason, config);
  }

  /** The process exits with VMs still running: after an uncaught exception, or without `close`. */
  readonly #abandonAll = () => {
    if ([...this.#list].some(vm => vm.alive)) this.#machines.abandon();
  };

  /** Prepares a thread for the next VM once this one has started: until then, both cores are needed. */
  #warmLater(): void {
    clearTimeout(this.#warming);
    this.#warming = setTimeout(() => this.#machines.warm(), WARM_AFTER_MS).unref();
  }

  #vm(id: string): Vm {
    return this.#list.require(id);
  }
}
