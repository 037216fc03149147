import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { definitionsFolder } from '../../definitions/folder.ts';
import { isRunning } from '../../engine/remote/manager-process.ts';
import { unmanagedVms } from '../../manager/machines/unmanaged.ts';
import { managerPaths } from '../../manager/paths.ts';
import { type LastRun, readLastRun, resumeInNext } from '../../manager/running-record.ts';
import { unitOf } from '../../manager/unit.ts';
import { vmsRunBy } from '../../manager/vm-lock.ts';
import { printError } from '../../text/output.ts';
import { Progress } from '../vm/progress.ts';
import { type Fate, keepsVms, type Stopped } from './fate.ts';
import { refuseKillingUnit } from './kill-mode.ts';

const LOOK_EVERY_MS = 20;
/** Signals sent in quick succession may arrive as one. */
const SIGNAL_AGAIN_MS = 500;

/**
 * Stops a manager of another version, which only understands signals: the first SIGTERM shuts its guests down, a second
 * one kills those that are still on; SIGUSR2 makes a manager whose VMs have their own processes leave them running. VMs
 * in the manager's process cannot be kept: they shut down and are started again. Resolves once its process is gone.
 * @param pid of the process that listens on the control socket, from the kernel
 * @param timeoutMs for the guests, instead of the manager's own setting
 * @throws before anything is stopped, when it belongs to another user, or runs a VM that could not be started again
 */
export async function stopBySignal(
  pid: number,
  { timeoutMs = Number.POSITIVE_INFINITY, fate }: { timeoutMs?: number | undefined; fate: Fate },
): Promise<NonNullable<Stopped>> {
  if (pid <= 1) throw new Error('the manager runs in another PID namespace: stop it there');
  const { state } = managerPaths();
  const unit = unitOf(pid);
  const machines = () => unmanagedVms().map(({ name }) => name);
  const inProcess = vmsRunBy(pid);
  if (keepsVms(fate) && inProcess.length === 0) {
    if (unit !== null) await refuseKillingUnit(unit);
    // SIGUSR2 ends a manager that does not handle it, and such a manager has no VMs to lose.
    await endOf(pid, 'SIGUSR2');
    return { status: { pid, unit }, vms: [], killed: [], kept: machines() };
  }
  if (fate === 'keep')
    throw new Error(`${inProcess.join(', ')} cannot be kept: the VMs of this version end with their manager`);
  const running = () => [...vmsRunBy(pid), ...machines()].sort();
  const vms = running();
  const before = readLastRun(state);
  const resume = fate !== 'off';
  if (resume) checkResumable(vms, before);
  const progress = new Progress(() => {
    const up = running();
    return up.length === 0 ? 'stopping the manager' : `shutting down ${up.join(', ')}`;
  });
  let killed: string[] = [];
  const begun = performance.now();
  let signaled = begun;
  try {
    signal(pid, 'SIGTERM');
    while (isRunning(pid)) {
      await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS));
      const now = performance.now();
      if (now - begun < timeoutMs || now - signaled < SIGNAL_AGAIN_MS) continue;
      if (killed.length === 0) killed = running();
      signaled = now;
      signal(pid, 'SIGTERM');
    }
  } finally {
    progress.end();
  }
  if (killed.length > 0)
    printError(`vring: killed, because they did not shut down in time: ${killed.join(', ')}`);
  if (resume && vms.length > 0) resumeInNext(state, vms, before);
  return { status: { pid, unit }, vms, killed, kept: [] };
}

/** VMs that it ran without a definition may or may not be on record. */
function checkResumable(vms: readonly string[], { interrupted }: LastRun): void {
  const known = (name: string) =>
    existsSync(join(definitionsFolder(), `${name}.yaml`)) ||
    interrupted.some(vm => vm.name === name && vm.config !== null);
  const lost = vms.filter(name => !known(name));
  if (lost.length > 0)
    throw new Error(
      `${lost.join(', ')} could not be started again without a definition: stop the manager with vring manager stop`,
    );
}

async function endOf(pid: number, by: NodeJS.Signals): Promise<void> {
  signal(pid, by);
  while (isRunning(pid)) await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS));
}

function signal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EPERM')
      throw new Error(`the manager (process ${pid}) belongs to another user: stop it as that user`);
    if (code !== 'ESRCH') throw error;
  }
}
