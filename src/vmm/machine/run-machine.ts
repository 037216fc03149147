import type { MachineConfig } from './config.ts';
import type { ManagerLink } from './manager-link.ts';
import type { MachineEnd } from './messages.ts';
import type { MachineReport } from './report.ts';
import { MachineRunner } from './runner.ts';
import { mark } from './start-trace.ts';

export type MachineHosting = {
  /** Says which native VM there is, to whoever may have to end it by force. */
  readonly created?: (vm: number) => void;
  /** Called before it is built, and after it: null to go on, or how the machine ends. */
  readonly beforeBuild?: () => void;
  readonly afterBuild?: () => MachineEnd | null;
  /** Called once it has been built, and has opened all that it needs. @throws what keeps the machine from being confined */
  readonly confine?: () => void;
  /** Called once, when the machine has had nothing to do for a while. */
  readonly idle?: () => void;
};

/** Builds a machine and runs it, across resets, to its end. */
export function runMachine(
  config: MachineConfig,
  counters: BigUint64Array,
  report: MachineReport,
  link: Pick<ManagerLink, 'next' | 'flush' | 'attach'>,
  hosting: MachineHosting,
): MachineEnd {
  const { created, beforeBuild, afterBuild, confine, idle } = hosting;
  beforeBuild?.();
  const runner = new MachineRunner({ counters, report, link });
  try {
    created?.(runner.nativeVm);
    const failure = failureOf(() => {
      runner.build(config);
      confine?.();
      mark('confinement');
      runner.start(config);
    });
    const ended = afterBuild?.() ?? null;
    if (ended !== null) return ended;
    // Nothing that could crash has run yet.
    if (failure !== null) return { ...failure, crashed: false, exitCode: null };
    const end = runner.run(idle);
    report.ending(end);
    link.flush();
    return end;
  } finally {
    runner.close();
  }
}

/** A machine that can't be built is for the user to fix; it is not a failure of this thread. */
function failureOf(build: () => void): Pick<MachineEnd, 'reason' | 'detail'> | null {
  try {
    build();
    return null;
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    const detail = error instanceof TypeError ? (stack ?? null) : null;
    return { reason: message, detail };
  }
}
