import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { signalProcess, watchExit } from '../../vmm/confinement/exit-status.ts';
import { pidfdOpen } from '../../vmm/native/libc.ts';

/** A process that this one did not start, by its pidfd, so that a later process with the same number is never meant. */
export class ProcessWatch {
  readonly pid: number;
  /** Resolves when it has ended. */
  readonly exited: Promise<void>;
  readonly #pidfd: number;
  #hasExited = false;

  /** @throws SystemError ESRCH when there is no such process */
  constructor(pid: number) {
    this.pid = pid;
    this.#pidfd = pidfdOpen(pid);
    this.exited = watchExit(this.#pidfd, { ref: false }).then(() => {
      this.#hasExited = true;
      closeSync(this.#pidfd);
    });
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  /** Sends a signal, unless it has ended. */
  signal(signal: NodeJS.Signals): void {
    if (!this.#hasExited) signalProcess(this.#pidfd, signal);
  }
}

/** Why a process does not respond, or, once it has been killed, is still there. */
export function whyStuck(pid: number): string {
  const state = stateOf(String(pid));
  if (state === 'T') return `its process ${pid} was stopped by a signal: kill -CONT ${pid} resumes it`;
  if (state === 't') return `its process ${pid} is stopped by a debugger`;
  const blocked = blockedThread(pid);
  if (blocked === null) return `its process ${pid} does not respond (state ${state ?? 'unknown'})`;
  const waits = readProc(blocked, 'wchan');
  const where = waits === '' || waits === '0' ? '' : ` (in ${waits})`;
  return `its process ${pid} waits for a device or file system of the host${where} and cannot be killed before that responds`;
}

/** Whether it is in a state in which it cannot respond: stopped, waiting in the kernel, or dead. */
export function isHeld(pid: number): boolean {
  return /^[TtDZX]$/.test(stateOf(String(pid)) ?? 'X');
}

/**
 * A thread in uninterruptible sleep. When a process has been killed, its first thread is gone while others may still
 * sleep.
 */
function blockedThread(pid: number): string | null {
  return [String(pid), ...threadsOf(pid)].find(thread => stateOf(thread) === 'D') ?? null;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(thread => `${pid}/task/${thread}`);
  } catch {
    return [];
  }
}

/** The state letter of proc(5), /proc/PID/status; null if there is no such thread. */
function stateOf(thread: string): string | null {
  return /^State:\s+(\S)/m.exec(readProc(thread, 'status'))?.[1] ?? null;
}

function readProc(pid: number | string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}
