import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Whether the process runs. A zombie does not count. */
export function isRunning(pid: number, proc = '/proc'): boolean {
  const state = stateOf(pid, proc);
  return state !== null && state !== 'Z' && state !== 'X';
}

/** Whether it was stopped by a signal, so that it cannot answer. */
export function isStopped(pid: number, proc = '/proc'): boolean {
  return stateOf(pid, proc) === 'T';
}

/**
 * A sentence about a manager that does not answer: for how long, why as far as its state (proc(5)) shows, and what to
 * do.
 */
export function describeSilence(pid: number, silentMs: number, proc = '/proc'): string {
  const who = `the manager (process ${pid})`;
  const since = `has not answered for ${Math.round(silentMs / 1000)} s`;
  switch (stateOf(pid, proc)) {
    case 'T':
      return `${who} was stopped by a signal: kill -CONT ${pid} resumes it. The VMs keep running`;
    case 't':
      return `${who} ${since}: a debugger holds it. The VMs keep running`;
    case 'D':
      return `${who} ${since}: it waits for a disk or a device; see dmesg. The VMs keep running`;
    default:
      return `${who} ${since}: it is busy${load(proc)}. The VMs keep running; vring manager restart --force replaces it`;
  }
}

/** The letter after the program's name, which may itself contain parentheses. */
function stateOf(pid: number, proc: string): string | null {
  return /^\d+ \(.*\) (\w)/s.exec(read(join(proc, String(pid), 'stat')))?.[1] ?? null;
}

function load(proc: string): string {
  const average = /^[\d.]+/.exec(read(join(proc, 'loadavg')))?.[0];
  const cpus = read(join(proc, 'stat')).match(/^cpu\d+ /gm)?.length;
  if (average === undefined || cpus === undefined) return '';
  return `, or the host is: its load average is ${average} on ${cpus} CPUs`;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
