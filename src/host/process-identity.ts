import { readFileSync } from 'node:fs';

/** A process is identified later by its PID and `startTicksOf`, within one boot. */

/** Changes with each boot of the host; empty if not known. */
export function currentBootId(): string {
  return readProc('sys/kernel/random/boot_id').trim();
}

/**
 * Start time of a process of this machine, in clock ticks since boot (proc(5), /proc/PID/stat, field 22). Null if there
 * is none, or only a zombie, which does nothing anymore but may never be reaped.
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
