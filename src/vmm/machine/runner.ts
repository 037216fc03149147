import type { Device, MachineRequest } from '../../devices/device.ts';
import { deviceTable } from '../../devices/registry.ts';
import type { GivenWire } from '../backends/net/given-wires.ts';
import { continueCounters } from '../counters/continue-counters.ts';
import { CounterBlocks } from '../counters/counter-blocks.ts';
import { shapeOf } from '../counters/counters.ts';
import { close, replaceFd } from '../native/libc.ts';
import { NativeVm } from '../native/native-vm.ts';
import type { NodeLoop } from '../native/node-loop.ts';
import { requestStopOfAllQueues, stuckQueues } from '../native/queues.ts';
import { StateError } from '../snapshot/state-codec.ts';
import type { GivenDevice } from '../vfio/given-devices.ts';
import type { MachineConfig } from './config.ts';
import { ConsolePorts } from './console-ports.ts';
import { reasonOf } from './device-modules.ts';
import { Ending } from './ending.ts';
import type { OwnFds } from './hand-over/given-machine.ts';
import { HandOverError } from './hand-over/messages.ts';
import type { TakeOver } from './hand-over/take-over.ts';
import { HoldupReports } from './holdup-reports.ts';
import { HostFiles } from './host-files.ts';
import { Machine } from './life-cycle.ts';
import { MachineLoop } from './loop.ts';
import { buildMachine, type MachineOrigin } from './machine.ts';
import { MachineControls } from './machine-controls.ts';
import type { MachineState } from './machine-state.ts';
import type { ManagerLink } from './manager-link.ts';
import type { MachineEnd, Restore } from './messages.ts';
import { decodeArrival } from './migration/arrival.ts';
import { PatientConsole } from './patient-console.ts';
import type { MachineReport, Notify } from './report.ts';
import { readSaved, readStateFile, type SavedMachine } from './saved-machine.ts';
import { SerialConsole } from './serial-console.ts';
import { mark } from './start-trace.ts';
import { TopologyReport } from './topology-report.ts';
import type { Turns } from './turns.ts';
import { VcpuExits } from './vcpu-exits.ts';

/** The kernel doesn't return a queue's thread from a request. Its resources are released when it does. */
const LEFT_BEHIND =
  "the host's disk does not answer one of its requests; memory and disk are released when it does";

/** For a device of a device module. */
const NOT_QUIESCED = 'its quiesce() has not called done';

/** The files of a snapshot, which the runner takes over. */
export type RestoredFrom = Restore & { readonly stateFd: number; readonly ramFd: number };

export type RunnerOptions = {
  readonly counters: BigUint64Array;
  readonly report: MachineReport;
  readonly link: MachineLink;
  /** The fds of this process that a hand-over passes on; null if the machine cannot be handed over. */
  readonly own?: OwnFds | null;
  /** The snapshot from which the machine continues; default: it boots. */
  readonly restore?: RestoredFrom | null;
  /** Host devices that it has from the start; default: none. */
  readonly hostDevices?: readonly GivenDevice[];
  /** Networks that it has from the start; default: none. */
  readonly wires?: readonly GivenWire[];
  /** The event loop with which it shares its thread; default: it has a thread of its own. */
  readonly node?: NodeLoop | null;
};

/** What a machine needs from its connection to its manager. */
export type MachineLink = Pick<
  ManagerLink,
  'next' | 'takeFd' | 'flush' | 'attach' | 'manager' | 'reachable' | 'listenAt'
>;

/** A machine that has been built, and the operations on it. */
type Built = {
  readonly machine: Machine;
  readonly controls: MachineControls;
  readonly deviceModules: readonly string[];
};

/**
 * A machine from power-on to its end, across resets, on the machine thread. Everything it creates belongs to its
 * NativeVm, which `close` destroys.
 */
export class MachineRunner {
  readonly #report: MachineReport;
  readonly #link: MachineLink;
  readonly #notify: Notify;
  readonly #own: OwnFds | null;
  readonly #restore: RestoredFrom | null;
  readonly #hostDevices: readonly GivenDevice[];
  readonly #wires: readonly GivenWire[];
  readonly #words: BigUint64Array;
  readonly #native: NativeVm;
  readonly #loop: MachineLoop;
  readonly #blocks: CounterBlocks;
  readonly #consoles: ConsolePorts;
  readonly #topology: TopologyReport;
  readonly #holdups: HoldupReports;
  readonly #ending: Ending;
  #built: Built | null = null;
  /** The manager that has requested the present operations. */
  #manager: number;
  /** It continues in another process. */
  #isGone = false;

  constructor(options: RunnerOptions) {
    const {
      counters,
      report,
      link,
      own = null,
      restore = null,
      hostDevices = [],
      wires = [],
      node = null,
    } = options;
    const shape = shapeOf(counters);
    const notify: Notify = change => {
      change(report);
      this.#flush();
    };
    this.#report = report;
    this.#link = link;
    this.#manager = link.manager;
    this.#notify = notify;
    this.#own = own;
    this.#restore = restore;
    this.#hostDevices = hostDevices;
    this.#wires = wires;
    this.#words = counters;
    this.#native = new NativeVm(counters, shape);
    const loop = new MachineLoop(this.#native, node);
    this.#loop = loop;
    this.#consoles = new ConsolePorts(
      port =>
        new SerialConsole(
          bytes => notify(() => report.printed(port, bytes)),
          loop,
          bytes => notify(() => report.inputTaken(port, bytes)),
        ),
      (port, console) => new PatientConsole({ console, unread: () => report.unread(port), clock: loop }),
    );
    this.#blocks = new CounterBlocks(
      counters,
      shape,
      () => this.#topology.changed(),
      this.#native.timedWords,
    );
    this.#topology = new TopologyReport({
      blocks: this.#blocks,
      consoles: this.#consoles,
      loop,
      report,
      notify,
    });
    this.#holdups = new HoldupReports(loop, devices =>
      notify(() => report.draining(devices, device => this.#whyDraining(device))),
    );
    this.#ending = new Ending(() => loop.stop());
  }

  /** For a manager in the same process (native.ts). */
  get nativeVm(): number {
    return this.#native.handle;
  }

  /**
   * @param takeOver the process where it runs now
   * @throws an error for the user if the configuration or this host is unsuitable
   */
  build(config: MachineConfig, takeOver: TakeOver | null = null): void {
    const files = new HostFiles(this.#native, takeOver?.files);
    files.giveWires(this.#wires);
    if (this.#restore !== null) files.openBoot(config.boot);
    const parts = buildMachine(config, {
      native: this.#native,
      loop: this.#loop,
      counters: this.#blocks,
      consoles: this.#consoles,
      files,
      hostDevices: this.#hostDevices,
      origin: takeOver?.origin ?? this.#restoredOrigin(config) ?? { kind: 'boot' },
      request: request => this.#request(request, config.onReboot),
      reportBroken: (device, reason) => this.#notify(report => report.broke(device, reason)),
      warn: text => this.#notify(report => report.happened('warning', text)),
      reportDiskErrors: (device, text) => this.#notify(report => report.diskFailed(device, text)),
      pauseForDisk: (device, reason) => this.#built?.controls.pause.failed(`I/O error: ${device}: ${reason}`),
      requestUnplug: (device, reason) => this.#built?.controls.hotPlug.requested(device, reason),
    });
    const machine = new Machine(parts, () => this.#machineChanged());
    const controls = this.#controls(machine, files, config);
    this.#built = {
      ...{ machine, controls },
      deviceModules: config.deviceModules,
    };
    this.#topology.built(parts, config, controls.hotPlug, controls.vcpuPlug);
  }

  #controls(machine: Machine, files: HostFiles, config: MachineConfig): MachineControls {
    return new MachineControls({
      ...{ machine, files, config },
      native: this.#native,
      loop: this.#loop,
      consoles: this.#consoles,
      counters: () => this.#blocks.labels,
      words: this.#words,
      ending: this.#ending,
      report: this.#report,
      notify: this.#notify,
      own: this.#own,
      updateTopology: () => this.#topology.update(),
      takeFd: () => this.#link.takeFd(),
      listenAt: (listener, lock) => this.#listenAt(listener, lock),
      gone: () => {
        this.#isGone = true;
        this.#loop.stop();
      },
    });
  }

  /** The lock takes the number of the one before, which nobody can see any more: a hand-over passes that number on. */
  #listenAt(listener: number, lock: number | null): void {
    this.#link.listenAt(listener);
    if (lock === null) return;
    if (this.#own !== null) replaceFd(this.#own.lock, lock);
    close(lock);
  }

  /** Starts the threads of its vCPUs, parked. A process is confined before that. @throws an error for the user */
  start({ pin = [] }: MachineConfig): void {
    this.#built!.machine.startThreads(pin);
  }

  /** Takes the machine over, into the one that has been built and started. @throws why it continues where it runs */
  takeOver(takeOver: TakeOver): void {
    const { machine, controls } = this.#built!;
    const state = takeOver.finish({ machine, words: this.#words, labels: () => this.#blocks.labels });
    if (state.paused) controls.pause.hold();
    machine.run();
    takeOver.notify(this.#report, state);
    // Its devices have sizes and limits that were changed there.
    this.#topology.update();
    this.#machineChanged();
  }

  /** Loads the snapshot from which the machine continues, if any. @throws an error for the user */
  restore(): void {
    const restore = this.#restore;
    if (restore === null) return;
    const { machine, controls } = this.#built!;
    const { stateFd, paused, arrives } = restore;
    if (arrives) {
      this.#loadArrival(stateFd);
      if (paused) controls.pause.hold();
      controls.migration.arrives();
      return;
    }
    let saved: SavedMachine;
    try {
      saved = readSaved(stateFd);
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      throw new Error(`the saved state is damaged: ${error.message}`);
    } finally {
      close(stateFd);
    }
    machine.load(saved.machine);
    // vCPUs may have been added before it was saved.
    this.#topology.update();
    for (const { port, bytes } of saved.printed) this.#report.printed(port, bytes);
    if (paused) controls.pause.hold();
    mark('state');
  }

  /** Loads what another host has sent. @throws an error for the user */
  #loadArrival(stateFd: number): void {
    const { machine } = this.#built!;
    try {
      const { machine: state, report, counters, words } = decodeArrival(readStateFile(stateFd));
      machine.load(state as MachineState);
      continueCounters({ words, labels: counters }, { words: this.#words, labels: this.#blocks.labels });
      this.#report.arrived(report);
    } catch (error) {
      if (!(error instanceof StateError || error instanceof HandOverError)) throw error;
      throw new Error(`the state that arrived is not valid: ${error.message}`);
    } finally {
      close(stateFd);
    }
    this.#topology.update();
  }

  /** Its memory. */
  #restoredOrigin({ memory }: MachineConfig): MachineOrigin | null {
    if (this.#restore === null) return null;
    const { ramFd, arrives = false } = this.#restore;
    // Mergeable memory is private, and takes what it has not written from the file.
    const kind = arrives && !memory.mergeable ? 'memfd' : 'file';
    return { kind: 'state', ram: { kind, fd: ramFd } };
  }

  /**
   * Runs the started machine to its end. @param idle called once, when it has had nothing to do for a while
   * @returns null if it continues in another process
   */
  *run(idle = () => {}): Turns<MachineEnd | null> {
    const { machine, controls } = this.#built!;
    const { queues } = machine.parts;
    const exits = new VcpuExits({
      machine: machine.parts,
      ending: this.#ending,
      notify: this.#notify,
    });
    machine.run();
    if (controls.pause.isAsked) this.#machineChanged();
    const handleMessages = () => this.#handleMessages(controls);
    const detach = this.#link.attach(this.#loop, handleMessages);
    try {
      // Messages that arrived while it was being built.
      handleMessages();
      yield* this.#loop.run({
        exit: index => exits.exit(index),
        parked: index => machine.vcpuParked(index),
        vcpuEnded: (index, errno, died) => exits.ended(index, errno, died),
        idle,
        queueBroken: handle => queues.broken(handle),
        diskErrors: handle => queues.diskErrors(handle),
        queueEnded: handle => queues.ended(handle),
      });
    } catch (error) {
      // An exception in a device model: what the guest has printed before may explain it.
      this.#consoles.flush();
      this.#link.flush();
      throw error;
    } finally {
      detach();
    }
    if (this.#isGone) return null;
    const end = this.#ending.end!;
    machine.end();
    this.#consoles.flush();
    controls.end(end.reason);
    this.#link.flush();
    return end;
  }

  /** Releases everything. */
  close(): void {
    // The last counts stay on screens.
    this.#blocks.keep();
    requestStopOfAllQueues(this.#native.handle);
    // If it continues elsewhere, none of it may be touched.
    if (this.#built !== null && !this.#isGone) {
      const { machine, controls, deviceModules } = this.#built;
      for (const { device } of machine.parts.chipset.devices) this.#closeDevice(device, deviceModules);
      controls.hotPlug.close();
    }
    for (const slot of stuckQueues(this.#native.handle)) {
      const queue = this.#blocks.labels.queues.find(queue => queue.slot === slot);
      if (queue !== undefined) this.#report.broke(queue.device, LEFT_BEHIND);
    }
    this.#native.destroy();
  }

  /** What a device module's device waits for is unknown. @returns undefined if it waits for its back end */
  #whyDraining(name: string): string | undefined {
    const labels = this.#built?.machine.parts.chipset.labels ?? [];
    const type = labels.find(label => label.name === name)?.type;
    return type === undefined || deviceTable.find(type) !== undefined ? undefined : NOT_QUIESCED;
  }

  /** A device module's exception must not keep the other devices open. */
  #closeDevice(device: Device, deviceModules: readonly string[]): void {
    try {
      device.close?.();
    } catch (error) {
      const why = reasonOf(error, deviceModules);
      this.#report.happened('warning', `device ${device.name} could not be closed: ${why}`);
    }
  }

  #request(request: MachineRequest, onReboot: MachineConfig['onReboot']): void {
    const ending = this.#ending;
    switch (request.kind) {
      case 'power-off':
        ending.finish(request.reason ?? 'the guest powered off');
        break;
      case 'exit':
        ending.finish(`the guest ended itself with code ${request.code}`, request.code);
        break;
      case 'crash':
        ending.crash({ reason: request.reason });
        break;
      case 'reset':
        if (onReboot === 'stop') {
          ending.finish(`${request.reason ?? 'the guest rebooted'} (on-reboot: stop)`);
        } else this.#built?.controls.reset.begin(request.reason ?? 'reset by the guest');
        break;
      case 'pause':
        this.#built?.controls.pause.failed(request.reason);
        break;
      case 'power-button':
        this.#built?.machine.parts.chipset.powerButton.press();
        break;
      case 'sleep':
        this.#built?.controls.suspension.begin();
        break;
      case 'wake':
        if (request.by === 'network') this.#built?.machine.parts.chipset.assertPme();
        this.#built?.controls.suspension.wake(request.by);
        break;
    }
  }

  /** Leaves messages after a stop to `waitUntilCollected`. */
  #handleMessages(controls: MachineControls): void {
    while (this.#ending.end === null && !this.#isGone) {
      const message = this.#link.next();
      if (message === null) break;
      switch (message.kind) {
        case 'input':
          this.#consoles.typed(message.port, message.bytes);
          break;
        case 'command':
          controls.commands.carryOut(message);
          break;
        case 'note':
          this.#report.noted(message.event);
          break;
        case 'build':
        case 'collected':
          break;
      }
    }
    // The commands of the one that is gone have been carried out.
    if (this.#manager !== this.#link.manager) {
      this.#manager = this.#link.manager;
      controls.managerGone();
    }
    this.#flush();
  }

  /** A machine that no later manager can find ends with its manager. */
  #flush(): void {
    this.#link.flush();
    if (!this.#link.reachable) this.#ending.finish('its manager is gone');
  }

  #machineChanged(): void {
    const { machine, controls } = this.#built!;
    controls.pause.update();
    this.#holdups.update(machine.holdups);
  }
}
