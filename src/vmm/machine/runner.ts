import type { Device, MachineRequest } from '../../devices/device.ts';
import { CounterBlocks } from '../counters/counter-blocks.ts';
import { shapeOf } from '../counters/counters.ts';
import { neededFeatures } from '../cpu/host-cpu.ts';
import { EXIT, SYSTEM_EVENT } from '../kvm/constants.ts';
import type { VcpuFd } from '../kvm/vcpu-fd.ts';
import { close, errnoName } from '../native/libc.ts';
import { NativeVm } from '../native/native.ts';
import { StateError } from '../snapshot/state-codec.ts';
import { answerAccess } from './answer-exit.ts';
import type { MachineConfig } from './config.ts';
import { ConsolePorts } from './console-ports.ts';
import { describeExit } from './describe-exit.ts';
import { reasonOf } from './device-modules.ts';
import { limitDisk, resizeDisk } from './disk-commands.ts';
import { givenMachine, type OwnFds } from './hand-over/given-machine.ts';
import { Giver, type Outcome } from './hand-over/giver.ts';
import { PrivateRamCopy } from './hand-over/private-ram.ts';
import type { TakeOver } from './hand-over/take-over.ts';
import { HoldupReports } from './holdup-reports.ts';
import { HostFiles } from './host-files.ts';
import { Machine } from './life-cycle.ts';
import { MachineLoop } from './loop.ts';
import { buildMachine, type MachineOrigin } from './machine.ts';
import type { MachineParts } from './machine-parts.ts';
import type { ManagerLink } from './manager-link.ts';
import type { MachineCommand, MachineCommands, MachineEnd, Restore, SnapshotArguments } from './messages.ts';
import type { Release } from './quiescence.ts';
import type { MachineReport } from './report.ts';
import { encodeSaved, readSaved, type SavedMachine } from './saved-machine.ts';
import { SerialConsole } from './serial-console.ts';
import { labelOf, type SnapshotSource, SnapshotWriter } from './snapshot-writer.ts';
import { mark, takeMarks } from './start-trace.ts';

/** The kernel doesn't return a queue's thread from a request. What the request uses is released when it does. */
const LEFT_BEHIND =
  "the host's disk does not answer one of its requests; memory and disk are released when it does";

/** The files of a snapshot; they are the runner's. */
export type RestoredFrom = Restore & { readonly stateFd: number; readonly ramFd: number };

export type RunnerOptions = {
  readonly counters: BigUint64Array;
  readonly report: MachineReport;
  readonly link: MachineLink;
  /** The fds of this process that a hand-over passes on; null: the machine cannot be handed over. */
  readonly own?: OwnFds | null;
  /** What the machine goes on from; default: it boots. */
  readonly restore?: RestoredFrom | null;
};

/** What a machine needs of its connection to its manager. */
export type MachineLink = Pick<ManagerLink, 'next' | 'takeFd' | 'flush' | 'attach' | 'manager'>;

/**
 * A machine from power-on to its end, across resets, on the machine thread. Everything it creates belongs to its NativeVm, which
 * `close` destroys.
 */
export class MachineRunner {
  readonly #report: MachineReport;
  readonly #link: MachineLink;
  readonly #own: OwnFds | null;
  readonly #native: NativeVm;
  readonly #loop: MachineLoop;
  readonly #words: BigUint64Array;
  readonly #blocks: CounterBlocks;
  readonly #consoles: ConsolePorts;
  readonly #holdups: HoldupReports;
  readonly #restore: RestoredFrom | null;
  #snapshots: SnapshotWriter | null = null;
  /** The manager that has asked for what is under way. */
  #manager = 0;
  /** The `pause` commands whose vCPUs haven't all paused. */
  readonly #pausing = new Set<number>();
  /** Ends the user's pause. */
  #unpause: Release | null = null;
  #machine: Machine | null = null;
  #onReboot: MachineConfig['onReboot'] = 'restart';
  #isResetting = false;
  #afterReset: (() => void) | null = null;
  #files: HostFiles | null = null;
  /** It is being handed to another process. */
  #giver: Giver | null = null;
  #isGone = false;
  #isMergeable = false;
  #deviceModules: readonly string[] = [];
  #end: MachineEnd | null = null;
  #hasExited = false;
  #pinning: readonly number[] = [];
  #topologyIsDue = false;

  constructor({ counters, report, link, own = null, restore = null }: RunnerOptions) {
    const shape = shapeOf(counters);
    this.#report = report;
    this.#link = link;
    this.#own = own;
    this.#restore = restore;
    this.#words = counters;
    this.#native = new NativeVm(counters, shape);
    this.#loop = new MachineLoop(this.#native);
    this.#blocks = new CounterBlocks(counters, shape, () => this.#topologyChanged());
    this.#holdups = new HoldupReports(this.#loop, devices => {
      report.draining(devices);
      link.flush();
    });
    const send = (change: () => void) => {
      change();
      link.flush();
    };
    this.#consoles = new ConsolePorts(
      port =>
        new SerialConsole(
          bytes => send(() => report.printed(port, bytes)),
          this.#loop,
          bytes => send(() => report.inputTaken(port, bytes)),
        ),
    );
  }

  /** For a manager in the same process (native.ts). */
  get nativeVm(): number {
    return this.#native.handle;
  }

  /**
   * @param takeOver where it runs now
   * @throws an error for the user if the configuration or this host is unsuitable
   */
  build(config: MachineConfig, takeOver: TakeOver | null = null): void {
    this.#files = new HostFiles(this.#native, takeOver?.files);
    if (this.#restore !== null) this.#files.openBoot(config.boot);
    const parts = buildMachine(config, {
      native: this.#native,
      loop: this.#loop,
      counters: this.#blocks,
      consoles: this.#consoles,
      files: this.#files,
      origin: takeOver?.origin ?? this.#restoredOrigin ?? { kind: 'boot' },
      request: request => this.#request(request),
      reportBroken: (device, reason) => {
        this.#report.broke(device, reason);
        this.#link.flush();
      },
      warn: text => {
        this.#report.happened('warning', text);
        this.#link.flush();
      },
      reportDiskErrors: (device, text) => {
        this.#report.diskFailed(device, text);
        this.#link.flush();
      },
    });
    const machine = new Machine(parts, () => this.#machineChanged());
    this.#machine = machine;
    this.#snapshots = new SnapshotWriter({
      source: snapshotSource(machine, this.#files!, this.#report),
      native: this.#native,
      loop: this.#loop,
      progress: progress => {
        this.#report.snapshotting(progress);
        this.#link.flush();
      },
    });
    this.#onReboot = config.onReboot;
    this.#deviceModules = config.deviceModules;
    this.#isMergeable = config.memory.mergeable;
    this.#pinning = config.pin ?? [];
    this.#reportTopology(parts);
  }

  /** Starts the threads of its vCPUs, parked. A process is confined before that. @throws an error for the user */
  start({ pin = [] }: MachineConfig): void {
    this.#machine!.startThreads(pin);
  }

  /** Takes the machine over, into the one that has been built and started. @throws why it goes on where it runs */
  takeOver(takeOver: TakeOver): void {
    const machine = this.#machine!;
    const state = takeOver.finish({ machine, words: this.#words, labels: () => this.#blocks.labels });
    if (state.paused) this.#unpause = machine.hold({});
    machine.run();
    takeOver.tell(this.#report, state);
    // Its devices have the sizes and limits that were changed there.
    this.#reportTopology(machine.parts);
    this.#machineChanged();
  }

  /** Loads what the machine goes on from, if it does not boot. @throws an error for the user */
  restore(): void {
    const restore = this.#restore;
    if (restore === null) return;
    const { stateFd, paused } = restore;
    let saved: SavedMachine;
    try {
      saved = readSaved(stateFd);
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      throw new Error(`the saved state is damaged: ${error.message}`);
    } finally {
      close(stateFd);
    }
    this.#machine!.load(saved.machine);
    for (const { port, bytes } of saved.printed) this.#report.printed(port, bytes);
    if (paused) this.#unpause = this.#machine!.hold({});
    mark('state');
  }

  /** Its memory, and what it boots from after a reset. */
  get #restoredOrigin(): MachineOrigin | null {
    return this.#restore && { kind: 'state', ram: { kind: 'file', fd: this.#restore.ramFd } };
  }

  /**
   * Runs the started machine to its end. @param idle called once, when it has had nothing to do for a while
   * @returns null: it goes on in another process
   */
  run(idle = () => {}): MachineEnd | null {
    const machine = this.#machine!;
    const { queues } = machine.parts;
    machine.run();
    if (this.#unpause !== null) this.#machineChanged();
    this.#manager = this.#link.manager;
    const handleMessages = () => this.#handleMessages(machine);
    const detach = this.#link.attach(this.#loop, handleMessages);
    try {
      // What came while it was being built.
      handleMessages();
      this.#loop.run({
        exit: index => this.#exit(machine.parts, index),
        parked: index => machine.vcpuParked(index),
        vcpuEnded: (index, errno, died) => this.#vcpuEnded(index, errno, died),
        idle,
        queueBroken: handle => queues.broken(handle),
        diskErrors: handle => queues.diskErrors(handle),
        queueEnded: handle => queues.ended(handle),
      });
    } finally {
      detach();
    }
    if (this.#isGone) return null;
    machine.end();
    this.#giver?.cancel(this.#end!.reason);
    this.#consoles.flush();
    this.#snapshots!.cancel('the machine has ended');
    for (const id of this.#pausing) this.#report.reply(id, 'the machine has ended');
    this.#link.flush();
    return this.#end!;
  }

  /** Releases everything. */
  close(): void {
    // The last counts stay on screens.
    this.#blocks.keep();
    this.#native.requestStopOfAllQueues();
    // Of one that goes on elsewhere nothing is touched.
    const devices = this.#isGone ? [] : (this.#machine?.parts.chipset.devices ?? []);
    for (const { device } of devices) this.#closeDevice(device);
    for (const slot of this.#native.stuckQueues) {
      const queue = this.#blocks.labels.queues.find(queue => queue.slot === slot);
      if (queue !== undefined) this.#report.broke(queue.device, LEFT_BEHIND);
    }
    this.#native.destroy();
  }

  /** One that throws, of a device module, is not to keep the others open. */
  #closeDevice(device: Device): void {
    try {
      device.close?.();
    } catch (error) {
      const why = reasonOf(error, this.#deviceModules);
      this.#report.happened('warning', `device ${device.name} could not be closed: ${why}`);
    }
  }

  #reportTopology({ chipset, vcpus }: MachineParts): void {
    this.#report.built({
      ...this.#blocks.labels,
      devices: chipset.labels,
      consoles: this.#consoles.labels,
      vcpus: vcpus.length,
      pinning: this.#pinning,
    });
  }

  /** A queue or range came or went; with a device there are many, which are reported together. */
  #topologyChanged(): void {
    const machine = this.#machine;
    if (machine === null || this.#topologyIsDue) return;
    this.#topologyIsDue = true;
    this.#loop.at(0n, () => {
      this.#topologyIsDue = false;
      this.#reportTopology(machine.parts);
      this.#link.flush();
    });
  }

  #exit({ vcpus, buses }: MachineParts, index: number): void {
    const vcpu = vcpus[index]!;
    if (!this.#hasExited) this.#firstExit();
    if (!answerAccess(vcpu.run, buses)) this.#unhandledExit(vcpu, index);
    if (this.#end === null) this.#native.completeVcpu(index);
  }

  /** Its first instruction that needs the machine, which soon follows the very first. */
  #firstExit(): void {
    this.#hasExited = true;
    mark('entry');
    const marks = takeMarks();
    if (marks !== null) this.#report.happened('info', marks);
  }

  /** Any exit other than a device access ends the machine, or resets it. */
  #unhandledExit(vcpu: VcpuFd, index: number): void {
    const { run } = vcpu;
    const event = run.exitReason === EXIT.SYSTEM_EVENT ? run.systemEvent.type : null;
    if (event === SYSTEM_EVENT.SHUTDOWN) this.#request({ kind: 'power-off' });
    else if (event === SYSTEM_EVENT.RESET) this.#request({ kind: 'reset' });
    else this.#crash(describeExit(vcpu, index));
  }

  #vcpuEnded(index: number, errno: number, died: boolean): void {
    const cause = died ? 'its thread died' : `KVM_RUN failed with ${errnoName(errno)}`;
    const error = this.#native.vcpuError(index);
    this.#crash({ reason: `vCPU ${index} ended: ${error === '' ? cause : error}`, detail: null });
  }

  #request(request: MachineRequest): void {
    switch (request.kind) {
      case 'power-off':
        this.#finish('the guest powered off');
        break;
      case 'exit':
        this.#finish(`the guest ended itself with code ${request.code}`, request.code);
        break;
      case 'crash':
        this.#crash({ reason: request.reason, detail: null });
        break;
      case 'reset':
        if (this.#onReboot === 'stop') this.#finish('the guest rebooted (on-reboot: stop)');
        else this.#reset('reset by the guest');
        break;
    }
  }

  #finish(reason: string, exitCode: number | null = null): void {
    this.#stop({ crashed: false, reason, detail: null, exitCode });
  }

  #crash({ reason, detail }: { reason: string; detail: string | null }): void {
    this.#stop({ crashed: true, reason, detail, exitCode: null });
  }

  /** Leaves the loop after the current event. The first reason wins. */
  #stop(end: MachineEnd): void {
    this.#end ??= end;
    this.#loop.stop();
  }

  /**
   * Resets the machine in place as soon as all of it has stopped, which a disk that does not answer delays: everything else goes
   * on responding meanwhile. A machine that is paused stays so.
   */
  #reset(event: string): void {
    if (this.#isResetting) return;
    this.#isResetting = true;
    const machine = this.#machine!;
    let isDone = false;
    let release: Release | null = null;
    const done = (failure: unknown) => {
      isDone = true;
      this.#isResetting = false;
      if (failure !== null) {
        const why = reasonOf(failure, this.#deviceModules);
        this.#crash({ reason: `the machine cannot be reset: ${why}`, detail: null });
        return;
      }
      this.#report.repaired();
      this.#report.happened('info', event);
      this.#link.flush();
      this.#afterReset?.();
      this.#afterReset = null;
      release?.();
    };
    release = machine.quiesce(() => {
      // What it has written by then would be of two machines.
      this.#snapshots!.cancel('the machine was reset');
      machine.reset(done);
    });
    if (isDone && this.#end === null) release();
  }

  #handOver(machine: Machine, id: number): void {
    const fd = this.#link.takeFd();
    const busy = this.#giver !== null ? 'it is being handed over already' : this.#snapshots!.busy;
    if (fd === null || busy !== null) {
      if (fd !== null) close(fd);
      this.#report.reply(id, fd === null ? 'no socket came with it' : busy);
      return;
    }
    const given = givenMachine({
      machine,
      files: this.#files!,
      own: this.#own,
      report: this.#report,
      counters: () => this.#blocks.labels,
      settlePorts: () => this.#consoles.settle(),
      isPaused: () => this.#unpause !== null,
      isMergeable: this.#isMergeable,
      deviceModules: this.#deviceModules,
      copyRam: () =>
        new PrivateRamCopy({
          ram: machine.parts.ram,
          pagemap: this.#snapshots!.pagemap,
          vm: this.#native.handle,
          loop: this.#loop,
        }),
      afterReset: done => {
        if (this.#isResetting) this.#afterReset = done;
        else done();
      },
    });
    let outcome: Outcome | null = null;
    const giver = new Giver(fd, given, this.#loop, result => {
      outcome = result;
      this.#giver = null;
      given.close();
      this.#handedOver(id, result);
    });
    if (outcome === null) this.#giver = giver;
  }

  #handedOver(id: number, outcome: Outcome): void {
    if (outcome.kind === 'failed') {
      this.#report.thaw();
      this.#report.reply(id, outcome.reason);
    } else {
      this.#isGone = true;
      this.#report.handedOver();
      this.#loop.stop();
    }
    this.#link.flush();
  }

  /** Leaves messages after a stop to whoever serves the machine's end. */
  #handleMessages(machine: Machine): void {
    // Nobody would end a snapshot that leaves it standing still.
    if (this.#manager !== this.#link.manager) this.#snapshots!.cancel('its manager is gone');
    this.#manager = this.#link.manager;
    while (this.#end === null && !this.#isGone) {
      const message = this.#link.next();
      if (message === null) break;
      switch (message.kind) {
        case 'input':
          this.#consoles.typed(message.port, message.bytes);
          break;
        case 'command':
          this.#command(machine, message);
          break;
        case 'note':
          this.#report.noted(message.event);
          break;
        case 'build':
        case 'collected':
          break;
      }
    }
    this.#link.flush();
  }

  #command(machine: Machine, command: MachineCommand & { readonly id: number }): void {
    const reply = (result: unknown = null) => this.#report.reply(command.id, null, result);
    switch (command.command) {
      case 'pause':
        this.#pause(machine, command.id);
        break;
      case 'resume':
        this.#resume();
        reply();
        break;
      case 'power-button':
        reply({ noticed: pressPowerButton(machine) } satisfies MachineCommands['power-button']['result']);
        break;
      case 'resize-disk':
        this.#changeDisk(machine, command.id, () =>
          resizeDisk(machine.parts.chipset.devices, command.arguments),
        );
        break;
      case 'limit-disk':
        this.#changeDisk(machine, command.id, () =>
          limitDisk(machine.parts.chipset.devices, command.arguments),
        );
        break;
      case 'disks':
        reply(this.#files!.disks.map(labelOf) satisfies MachineCommands['disks']['result']);
        break;
      case 'snapshot':
        this.#takeSnapshot(command.id, command.arguments);
        break;
      case 'end-snapshot':
        this.#snapshots!.cancel('it was canceled');
        reply();
        break;
      case 'ping':
        reply();
        break;
      case 'reset':
        this.#reset('reset');
        reply();
        break;
      case 'hand-over':
        this.#handOver(machine, command.id);
        break;
      case 'stop':
        this.#finish(command.arguments.reason);
        reply();
        break;
      default:
        this.#report.reply(
          (command as { id: number }).id,
          'this machine does not know that command: restart it',
        );
    }
  }

  #changeDisk(machine: Machine, id: number, change: () => void): void {
    try {
      change();
      this.#reportTopology(machine.parts);
      this.#report.reply(id, null);
    } catch (error) {
      this.#report.reply(id, (error as Error).message);
    }
  }

  #takeSnapshot(id: number, request: SnapshotArguments): void {
    const fds: number[] = [];
    for (let left = 3 + 2 * request.disks.length; left > 0; left--) {
      const fd = this.#link.takeFd();
      if (fd !== null) fds.push(fd);
    }
    if (this.#giver !== null) {
      for (const fd of fds) close(fd);
      this.#report.reply(id, 'it is being handed over to another process: try again');
      return;
    }
    this.#snapshots!.take(request, fds, (error, written) => {
      this.#report.reply(id, error, written);
      this.#link.flush();
    });
  }

  /** Replies once no vCPU runs any more: a device that has not stopped by then cannot be seen by anyone. */
  #pause(machine: Machine, id: number): void {
    this.#pausing.add(id);
    this.#unpause ??= machine.hold({});
    this.#machineChanged();
  }

  #resume(): void {
    this.#unpause?.();
    this.#unpause = null;
    this.#replyToPauses();
    this.#machineChanged();
  }

  #replyToPauses(): void {
    for (const id of this.#pausing) this.#report.reply(id, null);
    this.#pausing.clear();
    this.#link.flush();
  }

  #machineChanged(): void {
    const machine = this.#machine!;
    const isPaused = this.#unpause !== null && machine.parked;
    this.#report.entered(isPaused ? 'paused' : 'running');
    // After the state: who waits for the reply looks at it.
    if (isPaused) this.#replyToPauses();
    this.#holdups.update(machine.holdups);
    this.#link.flush();
  }
}

function snapshotSource(machine: Machine, files: HostFiles, report: MachineReport): SnapshotSource {
  const { ram, kvm } = machine.parts;
  return {
    hold: events => machine.hold(events),
    holdups: () => machine.holdups,
    save: () => {
      const state = machine.save();
      return {
        state: encodeSaved({ machine: state, printed: report.printedSoFar }),
        cpu: neededFeatures(state.vcpus[0]!.cpuid, kvm),
      };
    },
    ram,
    disks: () => files.disks,
  };
}

/** @returns whether the guest notices it */
function pressPowerButton({ parts: { chipset } }: Machine): boolean {
  chipset.powerButton.press();
  return chipset.powerButton.enabled;
}
