import { readFileSync } from 'node:fs';

/** What a process is recognized by later: its number, with `startTicksOf`, for as long as the boot is the same. */

/** Changes with each boot of the host; empty where that cannot be known. */
export function currentBootId(): string {
  return readProc('sys/kernel/random/boot_id').trim();
}

/**
 * Start time of a process of this machine, in clock ticks since boot (proc(5), /proc/PID/stat, field 22); null if there is none, or
 * only a zombie, which does nothing any more but may never be reaped.
 */
export function startTicksOf(pid: number): number | null {
  const [state, ...fields] = /^\d+ \(.*\) (.*)$/s.exec(readProc(`${pid}/stat`))?.[1]?.split(' ') ?? [];
  return state === 'Z' || state === 'X' || fields[18] === undefined ? null : Number(fields[18]);
}

function readProc(name: string): string {
  try {
    return readFileSync(`/proc/${name}`, 'utf8');
  } catch {
    return '';
  }
}
