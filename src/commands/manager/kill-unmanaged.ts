import { ProcessWatch } from '../../engine/machines/process-watch.ts';
import { unmanagedVms } from '../../manager/machines/unmanaged.ts';

const TIMEOUT_MS = 5000;

/** Kills the VMs that run without a manager. @returns their names. @throws naming those that cannot be killed */
export async function killUnmanaged(): Promise<readonly string[]> {
  const vms = unmanagedVms();
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, TIMEOUT_MS);
  // During a hand-over, either process may have the machine.
  const pids = vms.flatMap(({ pid, successor }) => (successor === undefined ? [pid] : [pid, successor.pid]));
  await Promise.race([Promise.all(pids.map(killed)), late.promise]);
  clearTimeout(timer);
  const left = unmanagedVms().map(({ name, pid }) => `${name} (process ${pid})`);
  if (left.length > 0)
    throw new Error(`the manager is gone, but its VMs cannot be killed: ${left.join(', ')}; see dmesg`);
  return vms.map(({ name }) => name);
}

async function killed(pid: number): Promise<void> {
  let watch: ProcessWatch;
  try {
    watch = new ProcessWatch(pid);
  } catch {
    return; // it has just ended
  }
  watch.signal('SIGKILL');
  await watch.exited;
}
