import { readdirSync, readFileSync } from 'node:fs';
import type { ThreadTimes } from './counter-source.ts';

/** Nanoseconds in a clock tick of /proc: USER_HZ is 100 on every x86 Linux. */
const TICK_NS = 10_000_000;

/** CPU times of a process's threads, by their ids in the process's own PID namespace. */
export class ThreadClock {
  readonly #pid: number;
  /** Thread ids as this process sees them, by their ids in the namespace. */
  #ids = new Map<number, string>();

  constructor(pid: number) {
    this.#pid = pid;
  }

  /**
   * CPU time and CPU of a thread (proc(5), /proc/[pid]/task/[tid]/stat: utime 14, stime 15, processor 39, guest_time 43).
   * utime includes guest_time. Zeros for a thread that has ended.
   */
  times(tid: number): ThreadTimes {
    const stat = this.#stat(tid);
    if (stat === null) return { guestNs: 0, userNs: 0, systemNs: 0, hostCpu: null, id: null };
    // The name in field 2 may contain spaces and parentheses: count from its end, where field 3 begins.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const number = (field: number) => Number(fields[field - 3] ?? 0);
    const guestNs = number(43) * TICK_NS;
    return {
      guestNs,
      userNs: Math.max(0, number(14) * TICK_NS - guestNs),
      systemNs: number(15) * TICK_NS,
      hostCpu: number(39),
      id: Number.parseInt(stat, 10),
    };
  }

  #stat(tid: number): string | null {
    if (tid === 0) return null;
    const known = this.#ids.get(tid);
    const stat = known === undefined ? null : readTask(this.#pid, known, 'stat');
    if (stat !== null) return stat;
    this.#readIds();
    const found = this.#ids.get(tid);
    return found === undefined ? null : readTask(this.#pid, found, 'stat');
  }

  /** `NSpid:` in status lists a thread's id in each nested namespace, the innermost last. */
  #readIds(): void {
    this.#ids = new Map();
    for (const id of tasksOf(this.#pid)) {
      const inner = /^NSpid:.*\s(\d+)$/m.exec(readTask(this.#pid, id, 'status') ?? '')?.[1];
      this.#ids.set(Number(inner ?? id), id);
    }
  }
}

function tasksOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function readTask(pid: number, tid: string, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/task/${tid}/${file}`, 'latin1');
  } catch {
    return null;
  }
}
