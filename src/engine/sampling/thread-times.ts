import { readFileSync } from 'node:fs';
import type { ThreadTimes } from './counter-source.ts';

/** Nanoseconds in a clock tick of /proc: USER_HZ is 100 on every x86 Linux. */
const TICK_NS = 10_000_000;

/**
 * CPU time and CPU of a thread of this process (proc(5), /proc/[pid]/task/[tid]/stat: utime 14, stime 15, processor 39,
 * guest_time 43). utime includes guest_time. Zeros for a thread that has ended.
 */
export function threadTimes(tid: number): ThreadTimes {
  let stat: string;
  try {
    stat = readFileSync(`/proc/self/task/${tid}/stat`, 'latin1');
  } catch {
    return { guestNs: 0, userNs: 0, systemNs: 0, hostCpu: null };
  }
  // The name in field 2 may hold spaces and parentheses: count from its end, after which field 3 comes first.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const number = (field: number) => Number(fields[field - 3] ?? 0);
  const guestNs = number(43) * TICK_NS;
  return {
    guestNs,
    userNs: Math.max(0, number(14) * TICK_NS - guestNs),
    systemNs: number(15) * TICK_NS,
    hostCpu: number(39),
  };
}
