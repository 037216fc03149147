import type { GivenWire } from '../backends/net/given-wires.ts';
import type { NodeLoop } from '../native/node-loop.ts';
import type { GivenDevice } from '../vfio/given-devices.ts';
import type { MachineConfig } from './config.ts';
import { reasonOf, thrownError } from './device-modules.ts';
import type { OwnFds } from './hand-over/given-machine.ts';
import type { TakeOver } from './hand-over/take-over.ts';
import type { MachineEnd } from './messages.ts';
import type { MachineReport } from './report.ts';
import { type MachineLink, MachineRunner, type RestoredFrom } from './runner.ts';
import { mark } from './start-trace.ts';
import type { Turns } from './turns.ts';

export type MachineHosting = {
  /** Reports the native VM to the thread that may have to destroy it. */
  readonly created?: (vm: number) => void;
  /** Called once it has been built: null to continue, or how the machine ends. */
  readonly afterBuild?: () => MachineEnd | null;
  /**
   * Called once it has been built, and has opened everything that it needs.
   * @throws the reason if it cannot be confined
   */
  readonly confine?: () => void;
  /** Called once it is about to run. */
  readonly started?: () => void;
  /** The machine to take over, in the process where it runs; default: a new one is started. */
  readonly takeOver?: TakeOver;
  /** The snapshot from which the machine continues; default: it boots. */
  readonly restore?: RestoredFrom;
  /** Host devices that it has from the start; default: none. */
  readonly hostDevices?: readonly GivenDevice[];
  /** Networks that it has from the start; default: none. */
  readonly wires?: readonly GivenWire[];
  /** The fds of this process that a hand-over passes on; default: the machine cannot be handed over. */
  readonly own?: OwnFds;
  /** Called once, when the machine has had nothing to do for a while. */
  readonly idle?: () => void;
  /** The event loop with which it shares its thread; default: it has a thread of its own. */
  readonly node?: NodeLoop;
};

/** Builds a machine and runs it, across resets, to its end. @returns null if it continues in another process */
export function* runMachine(
  config: MachineConfig,
  counters: BigUint64Array,
  report: MachineReport,
  link: MachineLink,
  hosting: MachineHosting,
): Turns<MachineEnd | null> {
  const {
    created,
    afterBuild,
    confine,
    started,
    takeOver,
    restore,
    own,
    idle,
    hostDevices = [],
    wires = [],
    node,
  } = hosting;
  const runner = new MachineRunner({
    ...{ counters, report, link, hostDevices, wires },
    own: own ?? null,
    node: node ?? null,
    restore: restore ?? null,
  });
  try {
    created?.(runner.nativeVm);
    const failure = failureOf(config.deviceModules, () => {
      runner.build(config, takeOver);
      confine?.();
      mark('confinement');
      runner.start(config);
      if (takeOver !== undefined) runner.takeOver(takeOver);
      else runner.restore();
    });
    const ended = afterBuild?.() ?? null;
    if (ended !== null) return ended;
    // Nothing that could crash has run yet.
    if (failure !== null) takeOver?.fail(failure.reason);
    if (failure !== null) return { ...failure, crashed: takeOver?.isDone ?? false, exitCode: null };
    started?.();
    const end = yield* runner.run(idle);
    if (end !== null) report.ending(end);
    link.flush();
    return end;
  } finally {
    runner.close();
  }
}

/** A machine that can't be built is the user's problem; the thread itself has not failed. */
function failureOf(
  deviceModules: readonly string[],
  build: () => void,
): Pick<MachineEnd, 'reason' | 'detail'> | null {
  try {
    build();
    return null;
  } catch (thrown) {
    const error = thrownError(thrown);
    const detail = error instanceof TypeError ? (error.stack ?? null) : null;
    return { reason: reasonOf(error, deviceModules), detail };
  }
}
