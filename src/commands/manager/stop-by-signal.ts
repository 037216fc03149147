import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { definitionsFolder } from '../../definitions/folder.ts';
import { isRunning } from '../../engine/remote/manager-process.ts';
import { managerPaths } from '../../manager/paths.ts';
import { type LastRun, readLastRun, resumeInNext } from '../../manager/running-record.ts';
import { unitOf } from '../../manager/unit.ts';
import { vmsRunBy } from '../../manager/vm-lock.ts';
import { printError } from '../../text/output.ts';
import { Progress } from '../vm/progress.ts';

const LOOK_EVERY_MS = 20;
/** Signals that are sent at once may arrive as one. */
const SIGNAL_AGAIN_MS = 500;

/**
 * Stops a manager of another version, which understands signals alone: the first SIGTERM shuts its guests down, a second one
 * kills those that are still on. Resolves when its process is gone.
 * @param pid as the kernel names the process that listens at the control socket
 * @param timeoutMs for the guests, in place of the manager's own
 * @param resume the next manager starts its VMs
 * @throws before anything is stopped, when it is another user's, or runs a VM that could not be started again
 */
export async function stopBySignal(
  pid: number,
  { timeoutMs = Number.POSITIVE_INFINITY, resume }: { timeoutMs?: number | undefined; resume: boolean },
) {
  if (pid <= 1) throw new Error('the manager runs in another PID namespace: stop it there');
  const { state } = managerPaths();
  const unit = unitOf(pid);
  const vms = vmsRunBy(pid);
  const before = readLastRun(state);
  if (resume) checkResumable(vms, before);
  const progress = new Progress(() => {
    const up = vmsRunBy(pid);
    return up.length === 0 ? 'stopping the manager' : `shutting down ${up.join(', ')}`;
  });
  let killed: string[] = [];
  const begun = Date.now();
  let signaled = begun;
  try {
    signal(pid);
    while (isRunning(pid)) {
      await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS));
      const now = Date.now();
      if (now - begun < timeoutMs || now - signaled < SIGNAL_AGAIN_MS) continue;
      if (killed.length === 0) killed = vmsRunBy(pid);
      signaled = now;
      signal(pid);
    }
  } finally {
    progress.end();
  }
  if (killed.length > 0)
    printError(`vring: killed, because they did not shut down in time: ${killed.join(', ')}`);
  if (resume && vms.length > 0) resumeInNext(state, vms, before);
  return { status: { pid, unit }, vms, killed };
}

/** What such a manager ran without a definition may be on record or not. */
function checkResumable(vms: readonly string[], { interrupted }: LastRun): void {
  const known = (name: string) =>
    existsSync(join(definitionsFolder(), `${name}.yaml`)) ||
    interrupted.some(vm => vm.name === name && vm.config !== null);
  const lost = vms.filter(name => !known(name));
  if (lost.length > 0)
    throw new Error(
      `${lost.join(', ')} could not be started again, for want of a definition: end the manager with vring manager stop`,
    );
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EPERM')
      throw new Error(`the manager (process ${pid}) belongs to another user: stop it as that user`);
    if (code !== 'ESRCH') throw error;
  }
}
