import { neededFeatures } from '../cpu/host-cpu.ts';
import type { NativeVm } from '../native/native-vm.ts';
import { Commands } from './commands.ts';
import type { MachineConfig } from './config.ts';
import type { ConsolePorts } from './console-ports.ts';
import type { Ending } from './ending.ts';
import type { OwnFds } from './hand-over/given-machine.ts';
import { HandOver } from './hand-over/hand-over.ts';
import type { HostFiles } from './host-files.ts';
import { HotPlug } from './hot-plug/hot-plug.ts';
import { VcpuPlug } from './hot-plug/vcpus.ts';
import { InPlaceReset } from './in-place-reset.ts';
import { MachineInput } from './input-commands.ts';
import type { Machine } from './life-cycle.ts';
import type { MachineLoop } from './loop.ts';
import { arrivingState } from './migration/arrival.ts';
import { migrationFacts } from './migration/facts.ts';
import { Migration } from './migration/migration.ts';
import type { OutgoingSource } from './migration/outgoing.ts';
import type { MachineReport, Notify } from './report.ts';
import { encodeSaved } from './saved-machine.ts';
import { type SnapshotSource, SnapshotWriter } from './snapshot-writer.ts';
import { Suspension } from './suspension.ts';
import type { CounterLabels } from './topology.ts';
import { UserPause } from './user-pause.ts';

export type ControlsParts = {
  readonly machine: Machine;
  readonly files: HostFiles;
  readonly config: MachineConfig;
  readonly native: NativeVm;
  readonly loop: MachineLoop;
  readonly consoles: ConsolePorts;
  readonly counters: () => CounterLabels;
  /** The counters themselves. */
  readonly words: BigUint64Array;
  readonly ending: Ending;
  readonly report: MachineReport;
  readonly notify: Notify;
  /** The fds of this process that a hand-over passes on; null if the machine cannot be handed over. */
  readonly own: OwnFds | null;
  /** Call it after a change to anything that screens show of its devices. */
  readonly updateTopology: () => void;
  /** Returns an fd that came with a command and hands it to the caller; null if none is left. */
  readonly takeFd: () => number | null;
  /** As in `Commanded`. */
  readonly listenAt: (listener: number, lock: number | null) => void;
  /** The machine belongs to another process: none of it may be touched any more. */
  readonly gone: () => void;
};

/** The operations on a machine that has been built, one in each part; the parts know each other. */
export class MachineControls {
  readonly snapshots: SnapshotWriter;
  readonly pause: UserPause;
  readonly reset: InPlaceReset;
  readonly suspension: Suspension;
  readonly handOver: HandOver;
  readonly migration: Migration;
  readonly hotPlug: HotPlug;
  readonly vcpuPlug: VcpuPlug;
  readonly commands: Commands;

  constructor(parts: ControlsParts) {
    const { machine, config, native, loop, ending, notify } = parts;
    const { deviceModules } = config;
    this.snapshots = new SnapshotWriter({
      ...{ native, loop },
      source: snapshotSource(parts),
      progress: progress => notify(report => report.snapshotting(progress)),
    });
    this.pause = new UserPause(machine, notify);
    this.reset = new InPlaceReset({
      ...{ machine, deviceModules, ending, notify },
      // The data written so far would be a mix of two machines.
      beforeReset: () => {
        this.snapshots.cancel('the machine was reset');
        this.migration.beforeReset();
      },
    });
    this.suspension = new Suspension({
      ...{ machine, deviceModules, ending, notify },
      changed: () => this.pause.update(),
    });
    const { snapshots, pause, reset, suspension } = this;
    const isMergeable = config.memory.mergeable;
    const finish = (reason: string) => ending.finish(reason);
    this.migration = new Migration({
      ...{ native, loop, pause, finish },
      source: outgoingSource(parts, reset),
      pagemap: () => snapshots.pagemap,
      progress: progress => notify(report => report.snapshotting(progress)),
      warn: text => notify(report => report.happened('warning', text)),
    });
    const { migration } = this;
    this.handOver = new HandOver({
      ...parts,
      snapshots,
      migration,
      pause,
      reset,
      deviceModules,
      isMergeable,
    });
    const { handOver } = this;
    const busy = () => handOver.busy ?? snapshots.busy ?? migration.busy;
    const plugging = {
      ...{ machine, busy },
      changed: () => notify(parts.updateTopology),
      happened: (level: 'info' | 'warning', text: string) => notify(report => report.happened(level, text)),
    };
    this.hotPlug = new HotPlug({ ...plugging, deviceModules, files: parts.files });
    this.vcpuPlug = new VcpuPlug(plugging);
    const { hotPlug, vcpuPlug } = this;
    const input = new MachineInput();
    this.commands = new Commands(
      {
        ...{
          ...parts,
          snapshots,
          pause,
          reset,
          suspension,
          handOver,
          migration,
          hotPlug,
          vcpuPlug,
          input,
          finish,
          busy,
        },
        migrationFacts: reply => migrationFacts(parts, reply),
      },
      notify,
    );
  }

  /** The manager that has requested the present operations is gone. */
  managerGone(): void {
    this.commands.forget();
    // No client would end a snapshot that keeps the machine stopped.
    this.snapshots.cancel('its manager is gone');
    this.migration.managerGone();
  }

  /** The machine has ended. */
  end(reason: string): void {
    this.handOver.cancel(reason);
    this.snapshots.cancel('the machine has ended');
    this.migration.close();
    this.commands.end('the machine has ended');
  }
}

function snapshotSource({ machine, files, report, consoles }: ControlsParts): SnapshotSource {
  const { ram, kvm } = machine.parts;
  return {
    quiesce: done => machine.quiesce(done),
    holdups: () => machine.holdups,
    save: () => {
      machine.parts.chars.readAhead();
      const state = machine.save();
      // Consoles hold output back for milliseconds.
      consoles.flush();
      return {
        state: encodeSaved({ machine: state, printed: report.printedSoFar }),
        cpu: neededFeatures(state.vcpus[0]!.cpuid, kvm),
        places: machine.parts.chipset.places,
      };
    },
    ram,
    disks: () => files.disks,
  };
}

function outgoingSource(
  { machine, files, report, consoles, counters, words }: ControlsParts,
  reset: InPlaceReset,
): OutgoingSource {
  const { ram, memory, chars, chipset } = machine.parts;
  return {
    // What resets the machine changes all of it, in several turns.
    quiesce: done => machine.quiesce(() => reset.afterwards(done)),
    holdups: () => machine.holdups,
    save: () => {
      chars.readAhead();
      const state = machine.save();
      consoles.settle();
      return {
        state: arrivingState({ machine: state, report: report.kept, counters: counters(), words }),
        places: chipset.places,
      };
    },
    ram,
    dirtyLog: memory.dirtyLog,
    written: () => files.written,
    unlock: () => files.unlock(),
    lock: () => files.lock(),
  };
}
