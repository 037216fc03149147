import { readFileSync } from 'node:fs';
import { prlimit, RLIMIT_MEMLOCK, SystemError, UNLIMITED } from '../../vmm/native/libc.ts';

const KiB = 2 ** 10;
/** For device memory that is mapped like RAM, such as a frame buffer. */
const SLACK = 2 ** 30;

/**
 * Raises the memlock limit of a machine's process to the `bytes` of its guest, as far as this process may. Where it may
 * not, the machine reports what it needs when the kernel refuses.
 */
export function allowLocking(pid: number, bytes: number): void {
  try {
    const [soft, hard] = prlimit(pid, RLIMIT_MEMLOCK);
    if (soft === UNLIMITED) return;
    // This process has other machines on its threads.
    const others = pid === process.pid ? lockedBy(pid) : 0;
    const needed = BigInt(bytes + others + SLACK);
    if (hard < needed && tryToSet(pid, needed)) return;
    // Raising it to the hard limit needs no privilege. What the user's other VMs lock may count too.
    if (soft < hard) tryToSet(pid, hard);
  } catch (error) {
    // The process has just ended.
    if (!(error instanceof SystemError)) throw error;
  }
}

function tryToSet(pid: number, limit: bigint): boolean {
  try {
    prlimit(pid, RLIMIT_MEMLOCK, [limit, limit]);
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === 'EPERM') return false;
    throw error;
  }
}

/** Bytes that a process has locked or pinned (proc_pid_status(5)). */
function lockedBy(pid: number): number {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return 0;
  }
  const field = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0);
  return (field('VmLck') + field('VmPin')) * KiB;
}
