import type { MachineConfig } from './config.ts';
import type { HostFiles } from './host-files.ts';
import type { ManagerLink } from './manager-link.ts';
import type { MachineEnd } from './messages.ts';
import type { MachineReport } from './report.ts';
import { MachineRunner } from './runner.ts';
import { mark } from './start-trace.ts';

export type MachineHosting = {
  /** Says which native VM there is now, to whoever may have to end it by force. */
  readonly created?: (vm: number) => void;
  /** Called before a boot is built, and after it: null to go on, or how the machine ends. */
  readonly beforeBuild?: () => void;
  readonly afterBuild?: () => MachineEnd | null;
  /** Called once the first boot has been built, and has opened all that it needs. @throws what keeps the machine from being confined */
  readonly confine?: () => void;
  /** Called once in each boot, when the machine has had nothing to do for a while. */
  readonly idle?: () => void;
};

/** Runs a machine, across resets, until it ends for good. */
export function runMachine(
  config: MachineConfig,
  counters: BigUint64Array,
  report: MachineReport,
  link: Pick<ManagerLink, 'next' | 'flush' | 'attach'>,
  hosting: MachineHosting,
): MachineEnd {
  const { created, beforeBuild, afterBuild, confine, idle } = hosting;
  let files: HostFiles | null = null;
  for (;;) {
    beforeBuild?.();
    const runner = new MachineRunner({ counters, report, link, files });
    const isFirst = files === null;
    try {
      created?.(runner.nativeVm);
      const failure = failureOf(() => {
        runner.build(config);
        if (isFirst) confine?.();
        mark('confinement');
        runner.start(config);
      });
      const end = afterBuild?.() ?? null;
      if (end !== null) return end;
      // Nothing that could crash has run yet on the first boot.
      if (failure !== null) return { ...failure, crashed: !isFirst, exitCode: null };
      const ran = runner.run(idle);
      if (ran.kind === 'ended') {
        report.ending(ran.end);
        link.flush();
        return ran.end;
      }
      report.happened('info', ran.by === 'guest' ? 'reset by the guest' : 'reset');
      beforeBuild?.();
      files = runner.files;
      files.detach();
      report.repaired();
    } finally {
      runner.close();
    }
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
