import { version } from '../../project-root.ts';
import { takeGivenWires } from '../backends/net/given-wires.ts';
import type { Layer } from '../confinement/layer.ts';
import { adoptCounters } from '../counters/shared-counters.ts';
import * as libc from '../native/libc.ts';
import { credentialsOfPeer } from '../native/unix-socket.ts';
import { takeGivenDevices } from '../vfio/given-devices.ts';
import { forbidExit, placeIn, reasonOf, thrownError } from './device-modules.ts';
import { TakeOver } from './hand-over/take-over.ts';
import { type Incoming, ManagerLink } from './manager-link.ts';
import { type MachineEnd, PROTOCOL, type ToMachine } from './messages.ts';
import { MachineReport } from './report.ts';
import { type MachineHosting, runMachine } from './run-machine.ts';
import type { RestoredFrom } from './runner.ts';
import { mark } from './start-trace.ts';
import { atOnce, type Turns } from './turns.ts';

export type Build = Extract<ToMachine, { kind: 'build' }>;

/** Where a machine runs: on a thread of its manager's, alone or not, or in its own process. */
export type MachinePlace = Pick<MachineHosting, 'afterBuild' | 'started' | 'idle' | 'node'> & {
  /** Its manager is in this process, and forces it to end with the native VM's handle. */
  readonly withManager?: boolean;
  readonly closeConnection?: (connection: number) => void;
  /** Called with the machine that it has been asked to build. */
  readonly building?: (build: Build) => void;
  /** Confines the process. @returns the outcome of each layer. @throws if the machine must not run like that */
  readonly confine?: (build: Build) => readonly Layer[];
};

/**
 * Serves one machine over a connected socket: waits for its configuration, runs it until it ends, and stays until a
 * manager has learned how it ended. Also returns if there is no manager left that could ask.
 */
export function serveMachine(connection: number, place: MachinePlace = {}): void {
  atOnce(servingMachine(connection, place));
}

/** The same in turns, for a thread with an event loop: `place.node`. */
export function* servingMachine(connection: number, place: MachinePlace): Turns<void> {
  const sharesThread = place.node !== undefined;
  const report = new MachineReport();
  const link = new ManagerLink(connection, report, place.closeConnection);
  try {
    const build = yield* waitForBuild(link, sharesThread);
    if (build === null) return;
    mark('request');
    place.building?.(build);
    const end = yield* run(build, link, report, place);
    if (end === null) {
      link.finish();
    } else if (end !== GOES_ON_THERE) {
      report.ended(end);
      link.flush();
      yield* waitUntilCollected(link, report, sharesThread);
    }
  } finally {
    link.close();
  }
}

const NOT_CONFINED: MachineEnd = {
  crashed: false,
  reason:
    'strict confinement needs a process of its own: run the VM in the manager, with vring run --detach or vring vm start',
  detail: null,
  exitCode: null,
};

/** A failed take-over: the machine continues in the process that has it, which knows the reason. */
const GOES_ON_THERE: MachineEnd = { crashed: false, reason: '', detail: null, exitCode: null };

/** @returns null if it continues in another process */
function* run(
  build: Build,
  link: ManagerLink,
  report: MachineReport,
  place: MachinePlace,
): Turns<MachineEnd | null> {
  const { config, token } = build;
  const countersFd = link.takeFd();
  const restore = restoreOf(build, link);
  const hostDevices = takeGivenDevices(build.hostDevices ?? [], () => link.takeFd(), libc.close);
  const wires = takeGivenWires(build.wires ?? [], () => link.takeFd(), libc.close);
  const listener = link.takeFd();
  const last = link.takeFd();
  if (countersFd === null) throw new Error('no counters were passed with the configuration');
  const counters = adoptCounters(countersFd);
  const strictly = config.confine === 'strict' && place.confine === undefined;
  if (listener !== null) {
    const ownUser = process.geteuid!();
    link.readmit({
      listener,
      countersFd,
      identity: { protocol: PROTOCOL, version: version(), token },
      accepts: connection => [0, ownUser].includes(credentialsOfPeer(connection).uid),
    });
  }
  const { withManager = false, confine, ...hosting } = place;
  const created = (vm: number) => {
    report.created(vm);
    link.flush();
  };
  let lock = build.takeOver ? null : last;
  let takeOver: TakeOver | null = null;
  const allowExit = config.deviceModules.length > 0 ? forbidExit() : () => {};
  try {
    if (strictly) return NOT_CONFINED;
    if (build.takeOver) {
      takeOver = takeOverFrom(last);
      if (takeOver === null) return GOES_ON_THERE;
      lock = takeOver.lock;
    }
    const end = yield* runMachine(config, counters.words, report, link, {
      ...hosting,
      ...(takeOver && { takeOver }),
      ...(restore && { restore }),
      hostDevices,
      wires,
      // While the lock is open, no other process runs a VM of this name.
      ...(lock !== null && { own: { counters: countersFd, lock } }),
      ...(withManager && { created }),
      ...(confine && { confine: () => report.confined(confine(build)) }),
    });
    return takeOver === null || takeOver.isDone ? end : GOES_ON_THERE;
  } catch (thrown) {
    const { deviceModules } = config;
    const error = deviceModules.length > 0 ? thrownError(thrown) : thrown;
    const isTheirs = error !== thrown || placeIn(error, deviceModules) !== null;
    if (!isTheirs || (takeOver !== null && !takeOver.isDone)) throw error;
    const { stack = null } = error as Error;
    return { crashed: true, reason: reasonOf(error, deviceModules), detail: stack, exitCode: null };
  } finally {
    allowExit();
    takeOver?.close();
    counters.unmap();
    if (listener === null) libc.close(countersFd);
    if (lock !== null) libc.close(lock);
  }
}

function takeOverFrom(socket: number | null): TakeOver | null {
  if (socket === null) throw new Error('no connection to the process that runs the VM was passed');
  try {
    return new TakeOver(socket);
  } catch {
    return null; // it has reported why
  }
}

/** The files of the snapshot come right after the counters. */
function restoreOf({ restore }: Build, link: ManagerLink): RestoredFrom | null {
  if (restore === undefined) return null;
  const stateFd = link.takeFd();
  const ramFd = link.takeFd();
  if (stateFd === null || ramFd === null) throw new Error('no snapshot was passed with the configuration');
  return { ...restore, stateFd, ramFd };
}

function* waitForBuild(link: ManagerLink, sharesThread: boolean): Turns<Build | null> {
  for (;;) {
    const message = yield* awaitNext(link, sharesThread);
    if (message === null || message.kind === 'build') return message;
  }
}

/** Rejects late commands of the manager, and lets one that connects now learn how the machine ended. */
function* waitUntilCollected(link: ManagerLink, report: MachineReport, sharesThread: boolean): Turns<void> {
  for (;;) {
    const message = yield* awaitNext(link, sharesThread);
    if (message === null || message.kind === 'collected') return;
    if (message.kind === 'note') report.noted(message.event);
    if (message.kind === 'command') report.reply(message.id, 'it has ended');
    link.flush();
  }
}

/** Blocks until there is a message, or yields if its manager is on this thread; null if there will never be one. */
function* awaitNext(link: ManagerLink, sharesThread: boolean): Turns<Incoming | null> {
  for (let waited = false; ; waited = true) {
    const message = link.next();
    if (message !== null || !link.reachable) return message;
    // It takes a turn or two: neither side waits for anything else.
    if (sharesThread && waited) yield;
    link.wait(sharesThread ? 0 : undefined);
  }
}
