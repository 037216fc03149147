import { explainShortage } from '../vmm/confinement/shortage.ts';
import { counterShape } from '../vmm/counters/counter-shape.ts';
import type { CounterBlock } from '../vmm/counters/counters.ts';
import { createCounters, type SharedCounters } from '../vmm/counters/shared-counters.ts';
import type { MachineConfig } from '../vmm/machine/config.ts';
import type {
  CommandName,
  MachineCommands,
  MachineEnd,
  MachineEvent,
  RunState,
  SnapshotProgress,
  TakenOver,
} from '../vmm/machine/messages.ts';
import type { DefinedVm } from './definitions.ts';
import { describeVm, type StoredOfVm } from './describe-vm.ts';
import { VmAgent } from './guest-agent/vm-agent.ts';
import { notTaken, wantedHostDevices } from './host-devices/wanted.ts';
import { MachineDevices, type MachineDevicesOptions } from './hotplug/machine-devices.ts';
import { handOver } from './machines/hand-over.ts';
import {
  type Death,
  type FoundMachine,
  type Machine,
  type Machines,
  type RestoreFiles,
  unregistered,
  type VmPlace,
} from './machines/machine.ts';
import type { GuestAddresses } from './networks/guest-addresses.ts';
import { VmCards } from './networks/vm-cards.ts';
import type { VmNic } from './networks/vm-nics.ts';
import type { ThreadTimes } from './sampling/counter-source.ts';
import type { ServedVnc } from './served-vnc.ts';
import type { SavedState, VmTask } from './snapshots/snapshot-info.ts';
import { closeTaken, NOTHING_TAKEN, type TakeAtStart, type TakenAtStart } from './taken-at-start.ts';
import { VmConsoles } from './vm-consoles.ts';
import { endsByForce, endsOnRequest, howItEnded, STOPPED } from './vm-end.ts';
import { isUp, type VmHostDevice, type VmInfo, type VmState } from './vm-info.ts';
import { VmRun } from './vm-run.ts';

/** How long an earlier manager's machine may take to answer before it is reported as stuck. */
const SILENCE_MS = 800;

export type VmListener = {
  changed(vm: Vm): void;
  /** The machine reported an event. */
  happened(vm: Vm, event: MachineEvent): void;
  /** Gives back its host resources, once nothing has them open any more; default: there are none. */
  giveBack?(vm: Vm): Promise<void> | null;
};

const NOTHING_STORED: StoredOfVm = { saved: null, snapshots: [] };

/** One VM in its manager: its machine, while it has one, and what outlives that. */
export class Vm {
  #name: string;
  readonly consoles: VmConsoles;
  /** Its definition on disk; null if there is none. */
  #defined: DefinedVm | null = null;
  /** The devices and configuration of its present or last machine; null before the first start. */
  #devices: MachineDevices | null = null;
  readonly #listener: VmListener;
  /** The present or last run. */
  #run: VmRun | null = null;
  #alive = false;
  #place: VmPlace | null = null;
  #state: VmState = 'off';
  #stuck: string | null = null;
  #end: MachineEnd | null = null;
  #forced = false;
  #interrupted = false;
  #isUpgrading = false;
  /** It was running before this manager, which does not know its state yet. */
  #adopting = false;
  /** Set while it waits for its host devices at its start; aborted when it is killed. */
  #taking: AbortController | null = null;
  /** Its machine is gone, and its host devices have not been given back yet. */
  #isReturning = false;
  #hostDevices: readonly VmHostDevice[] = [];
  readonly #cards = new VmCards();
  #wasKilled = false;
  #startedAt: number | null = null;
  #stored: StoredOfVm = NOTHING_STORED;
  #task: VmTask | null = null;
  #servedVnc: ServedVnc | null = null;
  /** Resolves when the machine of the present run is gone. */
  #gone = Promise.withResolvers<void>();
  /** Resolves at the end of the present run, when its host resources have been given back. */
  #ended = Promise.withResolvers<void>();
  #whenRunning: () => void = () => {};
  #whenKnown: () => void = () => {};

  constructor(name: string, listener: VmListener) {
    this.#name = name;
    this.#listener = listener;
    this.consoles = new VmConsoles({
      type: (port, bytes) => this.type(port, bytes),
      room: port => this.#run?.room(port) ?? Promise.resolve(),
      keyboardChanged: () => this.#listener.changed(this),
      // A machine of an older version does not support the command.
      resize: (port, size) => void this.#run?.command('resize-console', { port, ...size }).catch(() => {}),
    });
  }

  /** Its guest agent. */
  readonly agent = new VmAgent({
    transport: port => ({
      send: bytes => this.type(port, bytes),
      room: () => this.#run?.room(port) ?? Promise.resolve(),
    }),
    changed: () => this.#listener.changed(this),
  });

  get name(): string {
    return this.#name;
  }

  /** Called only while it has no machine. */
  rename(name: string): void {
    this.#name = name;
    this.#devices?.rename(name);
  }

  get info(): VmInfo {
    return describeVm({
      name: this.#name,
      state: this.#state,
      stuck: this.#stuck,
      end: this.#end,
      interrupted: this.#interrupted,
      startedAt: this.#startedAt,
      isInUse: this.alive,
      run: this.#alive ? this.#run : null,
      lastRun: this.#run,
      config: this.config,
      defined: this.#defined,
      stored: this.#stored,
      task: this.#task,
      hostDevices: this.hostDevices,
      nics: this.nics,
      cards: this.#cards,
      agent: this.agent,
      servedVnc: this.#servedVnc,
      consoles: this.consoles,
    });
  }

  /** Those that it has, or takes at its next start. */
  get hostDevices(): readonly VmHostDevice[] {
    if (this.#hostDevices.length > 0 || this.#alive) return this.#hostDevices;
    const wanted = this.#defined?.hostDevices ?? wantedHostDevices(this.config?.devices ?? []);
    return wanted.map(notTaken);
  }

  /** The network cards that it has, or gets at its next start. */
  get nics(): readonly VmNic[] {
    if (!this.#alive && this.#defined !== null) return this.#defined.nics ?? [];
    const { config } = this;
    if (config === null) return [];
    return this.#cards.of(config);
  }

  /** Takes the addresses of guests that the host knows. */
  addressesRead(known: GuestAddresses): void {
    if (this.#cards.read(this.#alive ? this.nics : [], known)) this.#listener.changed(this);
  }

  /** Its host devices changed. */
  set hostDevices(devices: readonly VmHostDevice[]) {
    this.#hostDevices = devices;
    this.#listener.changed(this);
  }

  get defined(): DefinedVm | null {
    return this.#defined;
  }

  /** Its definition on disk changed; null if there is none any more. */
  define(defined: DefinedVm | null): void {
    if (defined === this.#defined) return;
    this.#defined = defined;
    this.#listener.changed(this);
  }

  /**
   * It was running in a manager that is gone, and its machine is gone too.
   * @param config its configuration, if it has no definition
   */
  interrupt(reason: string, config: MachineConfig | null): void {
    this.#devices = config && this.#madeOf(config);
    this.#end = { crashed: true, reason, detail: null, exitCode: null };
    this.#interrupted = true;
    this.#set('crashed');
  }

  /** Its states on disk changed. */
  setStored(stored: StoredOfVm): void {
    this.#stored = stored;
    this.#listener.changed(this);
  }

  get saved(): SavedState | null {
    return this.#stored.saved;
  }

  /** Its operation in progress; null if none. */
  get task(): VmTask | null {
    return this.#task;
  }

  set task(task: VmTask | null) {
    this.#task = task;
    this.#listener.changed(this);
  }

  set servedVnc(served: ServedVnc | null) {
    if (served === this.#servedVnc) return;
    this.#servedVnc = served;
    this.#listener.changed(this);
  }

  get config(): MachineConfig | null {
    return this.#devices?.config ?? null;
  }

  /** Of its present or last machine; null before the first start. */
  get devices(): MachineDevices | null {
    return this.#devices;
  }

  /** Whether it has a machine, or is starting or ending. */
  get alive(): boolean {
    return this.#alive || this.#taking !== null || this.#isReturning;
  }

  /** Whether a client asked for its present or last run to end. */
  get wasKilled(): boolean {
    return this.#wasKilled;
  }

  /** Whether its state is not known yet. */
  get adopting(): boolean {
    return this.#adopting;
  }

  get counters(): CounterBlock | null {
    return this.#run?.counters ?? null;
  }

  get threadTimes(): ThreadTimes[] {
    return this.#run?.threadTimes ?? [];
  }

  /**
   * Builds the machine and runs it. @param restore the state to resume from; the caller keeps the files
   * @param take its host devices and networks; null if it has none
   * @throws why it could not be locked or built, in one sentence
   */
  async start(
    config: MachineConfig,
    machines: Machines,
    takePlace: () => VmPlace,
    restore: RestoreFiles | null = null,
    take: TakeAtStart | null = null,
  ): Promise<void> {
    if (this.alive) throw new Error(`${this.name} is ${this.#state} already`);
    const shape = counterShape(config);
    const place = takePlace();
    const taken = take === null ? NOTHING_TAKEN : await this.#take(take, config, place);
    this.#taking = null;
    // The scrollback comes from the snapshot.
    if (restore !== null) this.clearScrollback();
    let counters: ReturnType<typeof createCounters> | null = null;
    try {
      counters = createCounters(shape);
      const { registration } = place;
      const startedAt = Date.now();
      const machine = machines.launch({
        config,
        startedAt,
        countersFd: counters.fd,
        restore,
        ...taken,
        registration,
      });
      place.handedOver();
      this.#devices = this.#madeOf(config, { atStart: config });
      this.#startedAt = startedAt;
      this.#begin(machine, counters, place);
    } catch (error) {
      counters?.unmap();
      if (take === null) place.release();
      else await this.#giveUp(config, place, (error as Error).message);
      throw explainShortage(error);
    } finally {
      closeTaken(taken);
      counters?.closeFd();
    }
    const started = Promise.withResolvers<void>();
    this.#whenRunning = started.resolve;
    void this.#ended.promise.then(() => started.reject(new Error(this.#end?.reason ?? 'it has ended')));
    await started.promise;
  }

  /**
   * It counts as starting in the meantime. @throws why it does not have them; it is then off, and its place released
   */
  async #take(take: TakeAtStart, config: MachineConfig, place: VmPlace): Promise<TakenAtStart> {
    const taking = new AbortController();
    this.#taking = taking;
    this.#end = null;
    this.#interrupted = false;
    this.#wasKilled = false;
    this.#ended = Promise.withResolvers();
    this.#set('starting');
    let taken = NOTHING_TAKEN;
    try {
      taken = await take(taking.signal);
      taking.signal.throwIfAborted();
      return taken;
    } catch (error) {
      closeTaken(taken);
      await this.#giveUp(config, place, (error as Error).message);
      throw error;
    }
  }

  /** Its machine was not started, although its devices may have been taken. */
  async #giveUp(config: MachineConfig, place: VmPlace, reason: string): Promise<void> {
    this.#isReturning = true;
    this.#taking = null;
    await this.#listener.giveBack?.(this);
    this.#isReturning = false;
    this.#devices = this.#madeOf(config);
    this.#place = place;
    this.#over({ crashed: false, reason, detail: null, exitCode: null });
  }

  /** Takes over another manager's machine. Resolves once its state is known, or it is known not to respond. */
  async adopt(found: FoundMachine): Promise<void> {
    const known = Promise.withResolvers<void>();
    this.#whenKnown = known.resolve;
    const { config, isAsStarted, pending } = found;
    this.#devices = this.#madeOf(config, { atStart: isAsStarted ? config : null, pending });
    this.#startedAt = found.startedAt;
    this.#adopting = true;
    const place = {
      ...unregistered(found.release),
      succeed: found.succeed,
      follow: found.follow,
      renew: found.renew,
    };
    this.#begin(found.silent, null, place);
    const silence = setTimeout(() => this.#seize(found.silent.whyStuck()), SILENCE_MS);
    found.answered
      .then(answering => {
        if (answering === null) return;
        if (this.#run?.machine !== found.silent) {
          answering.machine.connection?.close();
          answering.counters.unmap();
          return;
        }
        this.#adopting = true;
        this.#begin(answering.machine, answering.counters, place);
      })
      .catch(error => {
        if (this.#run?.machine === found.silent) this.#seize(error.message);
      })
      .finally(() => clearTimeout(silence));
    await known.promise;
  }

  /** Has the machine run a command. @throws when there is no machine, or it refuses */
  async command<Name extends CommandName>(
    command: Name,
    args: MachineCommands[Name]['arguments'],
  ): Promise<MachineCommands[Name]['result']> {
    return this.#responding.command(command, args);
  }

  /** The same with fds; the caller keeps ownership. */
  async commandWithFds<Name extends CommandName>(
    command: Name,
    args: MachineCommands[Name]['arguments'],
    fds: readonly number[],
  ): Promise<MachineCommands[Name]['result']> {
    return this.#responding.commandWithFds(command, args, fds);
  }

  #madeOf(
    config: MachineConfig,
    { atStart = null, pending = [] }: Partial<Omit<MachineDevicesOptions, 'recordLater'>> = {},
  ): MachineDevices {
    const recordLater: MachineDevicesOptions['recordLater'] = (...devices) =>
      this.#place?.follow?.(...devices);
    return new MachineDevices(config, { atStart, pending, recordLater });
  }

  /** @throws when there is no machine, or it does not respond */
  get #responding(): VmRun {
    if (!this.#alive && this.alive) throw new Error(`${this.name} is ${this.#state}`);
    if (!this.#alive) throw new Error(`${this.name} is ${this.#state}: start it first`);
    const run = this.#run!;
    if (run.machine.connection === null || this.#state === 'stuck')
      throw new Error(`${this.name} is stuck: ${this.#stuck}`);
    return run;
  }

  /** Whether the guest of its present or last machine has begun to run. */
  get hasRun(): boolean {
    return this.#run?.hasRun ?? false;
  }

  /**
   * Ends the machine; resolves once it is gone.
   * @throws when it is stuck: what its host has to do first
   */
  async kill(reason = STOPPED): Promise<void> {
    if (!this.alive) return;
    this.#wasKilled = true;
    if (!this.#alive) {
      // Its devices are being taken or given back: that takes as long as the host needs.
      this.#taking?.abort(new Error(reason));
      this.#set('stopping');
      await this.#ended.promise;
      return;
    }
    const run = this.#run!;
    const gone = this.#gone.promise;
    const isStuck = this.#state === 'stuck';
    if (!isStuck) this.#set('stopping');
    if (isStuck || !(await endsOnRequest(run, reason, gone))) {
      this.#forced = true;
      if (!(await endsByForce(run, gone))) {
        this.#seize(run.machine.whyStuck());
        throw new Error(`${this.name} is stuck: ${this.#stuck}`);
      }
    }
    await this.#ended.promise;
  }

  /**
   * Hands the machine to another process of the installed vring.
   * @throws why it stays in its process; or that it is gone
   */
  async upgrade(machines: Machines): Promise<TakenOver> {
    const run = this.#run;
    if (run === null || !isUp({ state: this.#state }))
      throw new Error(`${this.name} is ${this.#state}${this.#stuck === null ? '' : `: ${this.#stuck}`}`);
    if (this.#isUpgrading) throw new Error(`${this.name} is being upgraded already`);
    const succeed = this.#place?.succeed;
    if (succeed === undefined)
      throw new Error(
        `${this.name} ends with the process that runs it (${run.machine.pid}): shut it down and start it again there`,
      );
    this.#isUpgrading = true;
    try {
      const start = { config: this.config!, startedAt: this.#startedAt! };
      return await handOver(run, start, machines, succeed());
    } finally {
      this.#isUpgrading = false;
    }
  }

  /**
   * Creates again what later managers need to find its machine, if some of it was removed from the runtime folder.
   * @returns whether it was. @throws when that is not possible
   */
  async renewPlace(): Promise<boolean> {
    if (!isUp({ state: this.#state }) || this.#isUpgrading) return false;
    const renewal = this.#place?.renew?.() ?? null;
    if (renewal === null) return false;
    let taken = false;
    try {
      const { fds, lock } = renewal;
      if (fds.length > 0) await this.commandWithFds('listen', { lock }, fds);
      taken = true;
    } finally {
      renewal.settle(taken);
    }
    return true;
  }

  /** For another machine of this name: the old output is not replayed; watchers see the new one's. */
  clearScrollback(): void {
    this.consoles.clearScrollback();
  }

  type(port: number, bytes: Uint8Array): void {
    this.#run?.type(port, bytes);
  }

  /** Limits what its machine causes to be logged. */
  limited(event: MachineEvent): MachineEvent[] {
    return this.#run?.limited(event) ?? [event];
  }

  /** Has the machine keep an entry of this manager's log, for the next manager. */
  remember(event: MachineEvent): void {
    if (this.#alive) this.#run!.remember(event);
  }

  #begin(machine: Machine, counters: SharedCounters | null, place: VmPlace): void {
    this.#devices!.forget();
    const run: VmRun = new VmRun(machine, counters, {
      changed: () => {
        if (this.#run === run) {
          this.#devices!.follow(run.topology);
          this.agent.follow(run.topology);
        }
        this.#listener.changed(this);
      },
      entered: state => this.#entered(state),
      printed: (port, bytes) => {
        if (!this.agent.received(port, bytes)) this.consoles.printed(port, bytes);
      },
      happened: event => this.#listener.happened(this, event),
      snapshotting: progress => this.#snapshotting(progress),
      silent: () => {
        if (this.#run === run && this.#state !== 'stopping' && this.#state !== 'stuck')
          this.#seize(run.machine.whyStuck());
      },
      answers: () => {
        if (this.#run === run) this.#letGo(run);
      },
      ended: death => {
        this.agent.end('the VM is off');
        // The silent machine may have answered since, as another run.
        if (this.#run === run) this.#exited(run, death);
      },
    });
    if (!this.#alive) {
      this.#gone = Promise.withResolvers();
      this.#ended = Promise.withResolvers();
    }
    this.#run = run;
    this.#alive = true;
    this.#place = place;
    this.#end = null;
    this.#stuck = null;
    this.#forced = false;
    this.#wasKilled = false;
    this.#interrupted = false;
    this.#set('starting');
    run.listen();
  }

  #snapshotting(progress: SnapshotProgress | null): void {
    const task = this.#task;
    if (task === null || progress === null) return;
    const { done, total, waitingFor, migration } = progress;
    if (task.kind === 'migrate') {
      const phase = migration?.isStopped ? 'switching' : 'sending';
      this.task = { ...task, phase, done, total, waitingFor, ...(migration && { migration }) };
    } else this.task = { ...task, phase: total === 0 ? 'stopping' : 'writing', done, total, waitingFor };
  }

  /** The machine exists, but can only be ended. */
  #seize(reason: string): void {
    if (!this.#alive) return;
    this.#adopting = false;
    this.#stuck = reason;
    this.#set('stuck');
    this.#whenKnown();
    this.#run!.giveUp(reason);
  }

  /** The machine responds again. */
  #letGo({ state }: VmRun): void {
    if (!this.#alive || this.#state !== 'stuck' || this.#forced) return;
    this.#stuck = null;
    this.#set(state);
  }

  #entered(state: RunState): void {
    if (this.#state !== 'stopping' && this.#state !== 'stuck') this.#set(state);
    this.#adopting = false;
    this.#whenKnown();
    if (!isUp({ state })) return;
    this.consoles.sendSizes();
    this.#whenRunning();
  }

  /** The machine is gone: on its own, or with its thread or process. No other VM is affected. */
  #exited(run: VmRun, death: Death | null): void {
    this.#alive = false;
    this.#adopting = false;
    this.#stuck = null;
    this.#gone.resolve();
    const end = howItEnded(run, death, this.#forced);
    const returning = this.#listener.giveBack?.(this) ?? null;
    if (returning === null) {
      this.#over(end);
      return;
    }
    this.#isReturning = true;
    this.#set('stopping');
    void returning.finally(() => {
      this.#isReturning = false;
      this.#over(end);
    });
  }

  #over(end: MachineEnd): void {
    this.#end = end;
    // Before listeners are notified: they may restart it immediately.
    this.#place?.release();
    this.#place = null;
    this.#whenKnown();
    // A restart replaces `#ended`.
    const ended = this.#ended;
    this.#set(end.crashed ? 'crashed' : 'off');
    ended.resolve();
  }

  #set(state: VmState): void {
    this.#state = state;
    this.#listener.changed(this);
  }
}
