import { close } from '../../native/libc.ts';
import type { NativeVm } from '../../native/native-vm.ts';
import type { ConsolePorts } from '../console-ports.ts';
import type { HostFiles } from '../host-files.ts';
import type { InPlaceReset } from '../in-place-reset.ts';
import type { Machine } from '../life-cycle.ts';
import type { MachineLoop } from '../loop.ts';
import type { Migration } from '../migration/migration.ts';
import type { MachineReport, Notify } from '../report.ts';
import type { SnapshotWriter } from '../snapshot-writer.ts';
import type { CounterLabels } from '../topology.ts';
import type { UserPause } from '../user-pause.ts';
import { givenMachine, type OwnFds } from './given-machine.ts';
import { Giver, type Outcome } from './giver.ts';
import { PrivateRamCopy } from './private-ram.ts';

export type HandOverParts = {
  readonly machine: Machine;
  readonly native: NativeVm;
  readonly loop: MachineLoop;
  readonly files: HostFiles;
  readonly consoles: ConsolePorts;
  readonly snapshots: SnapshotWriter;
  readonly migration: Migration;
  readonly pause: UserPause;
  readonly reset: InPlaceReset;
  readonly counters: () => CounterLabels;
  readonly report: MachineReport;
  readonly notify: Notify;
  /** The fds of this process that are passed on; null if the machine cannot be handed over. */
  readonly own: OwnFds | null;
  /** Whether its memory may be merged with that of others (KSM). */
  readonly isMergeable: boolean;
  readonly deviceModules: readonly string[];
  /** Called once the machine belongs to another process: none of it may be touched any more. */
  readonly gone: () => void;
};

/** Hands a running machine to other processes, until one of them takes it. */
export class HandOver {
  readonly #parts: HandOverParts;
  #giver: Giver | null = null;

  constructor(parts: HandOverParts) {
    this.#parts = parts;
  }

  /** Why a snapshot has to wait; null if no process is taking the machine over. */
  get busy(): string | null {
    return this.#giver && 'it is being handed over to another process: try again';
  }

  /**
   * @param fd the socket to the process that should get it, which this object takes over; null if none arrived
   * @param failed called with the reason if the machine continues here
   */
  begin(fd: number | null, failed: (reason: string) => void): void {
    const { snapshots, migration, loop } = this.#parts;
    if (fd === null) {
      failed('no socket came with it');
      return;
    }
    const busy =
      this.#giver !== null ? 'it is being handed over already' : (snapshots.busy ?? migration.busy);
    if (busy !== null) {
      close(fd);
      failed(busy);
      return;
    }
    const given = this.#given();
    let isOver = false;
    const giver = new Giver(fd, given, loop, outcome => {
      isOver = true;
      this.#giver = null;
      given.close();
      this.#over(outcome, failed);
    });
    if (!isOver) this.#giver = giver;
  }

  /**
   * Does nothing if no process is taking the machine over.
   * @param reason for the other process, and for the requester
   */
  cancel(reason: string): void {
    this.#giver?.cancel(reason);
  }

  #given() {
    const { machine, native, loop, files, consoles, snapshots, pause, reset, report, ...rest } = this.#parts;
    const { own, counters, isMergeable, deviceModules } = rest;
    return givenMachine({
      ...{ machine, files, own, report, counters, isMergeable, deviceModules },
      settlePorts: () => consoles.settle(),
      isPaused: () => pause.isAsked,
      copyRam: () =>
        new PrivateRamCopy({ ram: machine.parts.ram, pagemap: snapshots.pagemap, vm: native.handle, loop }),
      afterReset: done => reset.afterwards(done),
    });
  }

  #over(outcome: Outcome, failed: (reason: string) => void): void {
    const { notify, gone } = this.#parts;
    if (outcome.kind === 'failed') {
      notify(report => report.thaw());
      failed(outcome.reason);
      return;
    }
    gone();
    notify(report => report.handedOver());
  }
}
