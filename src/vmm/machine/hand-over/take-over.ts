import { version } from '../../../project-root.ts';
import { continueCounters } from '../../counters/continue-counters.ts';
import { adoptCounters } from '../../counters/shared-counters.ts';
import * as libc from '../../native/libc.ts';
import type { GivenFiles } from '../host-files.ts';
import type { Machine } from '../life-cycle.ts';
import type { MachineOrigin } from '../machine.ts';
import type { MachineState } from '../machine-state.ts';
import { diskOfFacts } from '../messages.ts';
import { MachineReport } from '../report.ts';
import type { CounterLabels } from '../topology.ts';
import { connectionsOf } from './connections.ts';
import { decodeHandedState, encodeHandedState, type HandedState } from './state.ts';
import { type Given, Taker } from './taker.ts';

/** The objects of another process that continue here. */
export type Continued = {
  readonly machine: Machine;
  readonly words: BigUint64Array;
  readonly labels: () => CounterLabels;
};

/** A machine that this process takes over from another one, step by step. Each step waits for the other process. */
export class TakeOver {
  readonly #taker: Taker;
  readonly #given: Given;
  #isDone = false;

  /**
   * @param fd a connected socket, which this object takes over. @throws HandOverError; the other process then knows the
   * reason
   */
  constructor(fd: number) {
    this.#taker = new Taker(fd);
    try {
      this.#given = this.#taker.awaitOffer();
    } catch (error) {
      this.fail((error as Error).message);
      throw error;
    }
  }

  /** Whether the machine belongs to this process. */
  get isDone(): boolean {
    return this.#isDone;
  }

  get origin(): MachineOrigin {
    return { kind: 'state', ram: { kind: 'memfd', fd: this.#given.ram } };
  }

  get files(): GivenFiles {
    const { disks, images, wires } = this.#given;
    return {
      disks: disks.map(({ fds, options, facts }) => ({ ...options, ...diskOfFacts(facts, fds) })),
      images,
      wires,
    };
  }

  /** Of the VM's name. */
  get lock(): number {
    return this.#given.lock;
  }

  /**
   * The machine is built, and its vCPUs are parked. When this returns, it belongs to this process, and has the state
   * that it had in the other one.
   * @throws why it cannot be taken over: it then continues there
   */
  finish(continued: Continued): HandedState {
    rehearse(continued);
    const { machine, words, labels } = continued;
    const state = decodeHandedState(this.#taker.prepared());
    machine.load(state.machine as MachineState);
    const { connections } = state;
    if (connections !== undefined)
      machine.parts.chars.continueWith(connectionsOf(connections, () => this.#taker.takeClient()));
    const theirs = adoptCounters(this.#given.counters);
    continueCounters({ words: theirs.words, labels: state.counters }, { words, labels: labels() });
    theirs.unmap();
    this.#taker.loaded();
    this.#isDone = true;
    this.#taker.close();
    return state;
  }

  /** Reports that it now runs here, or is paused as it was there. */
  notify(report: MachineReport, state: HandedState): void {
    const from = this.#given.version;
    const stoodStillMs = Number(process.hrtime.bigint() - state.stoppedAt) / 1e6;
    report.takenOver(state.report, { from, stoodStillMs });
    const to = version();
    const what =
      from === to ? `moved to a new process of vring ${to}` : `upgraded from vring ${from} to ${to}`;
    report.happened('info', `${what}; its guest stood still for ${Math.round(stoodStillMs)} ms`);
  }

  /** Lets it continue in the other process, unless it already belongs to this one. */
  fail(reason: string): void {
    if (this.#isDone) return;
    this.#taker.fail(reason);
    this.#taker.close();
  }

  /** Releases what is not needed once it is built. */
  close(): void {
    libc.close(this.#given.counters);
  }
}

/**
 * Saves and loads the built machine, as it will be loaded while its guest is stopped: code takes several times as long
 * on its first run. A machine that has not run touches no RAM, which the other process's guest is using.
 */
function rehearse({ machine, words, labels }: Continued): void {
  const report = new MachineReport();
  report.printed(0, new Uint8Array(1));
  report.happened('info', '');
  const bytes = encodeHandedState({
    machine: machine.save(),
    paused: false,
    stoppedAt: 0n,
    counters: labels(),
    report: report.freeze(),
  });
  machine.load(decodeHandedState(bytes).machine as MachineState);
  continueCounters({ words, labels: labels() }, { words: words.slice(), labels: labels() });
}
