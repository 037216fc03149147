import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** CPU time so far, in milliseconds, of a process's live threads, from the scheduler. */
export function cpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, tid) => sum + threadMs(`/proc/${pid}/task/${tid}`), 0);
}

/** The same, in seconds and including threads that have ended; the clock ticks 100 times a second. */
export function processCpuSeconds(pid: number): number {
  // The name, in parentheses, may contain spaces.
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ');
  const [user, system] = [fields[11], fields[12]];
  return (Number(user) + Number(system)) / 100;
}

/** CPU time so far, in milliseconds, of a process's main thread. */
export function mainThreadMs(pid: number): number {
  return threadMs(`/proc/${pid}/task/${pid}`);
}

function threadMs(folder: string): number {
  return Number(readFileSync(join(folder, 'schedstat'), 'latin1').split(' ')[0]) / 1e6;
}

export function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
