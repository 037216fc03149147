import { closeSync, readFileSync } from 'node:fs';
import { signalProcess, watchExit } from '../../vmm/confinement/exit-status.ts';
import { pidfdOpen } from '../../vmm/native/libc.ts';

/** A process that this one has not started, by its pidfd: no later process with the same number is ever meant. */
export class ProcessWatch {
  readonly pid: number;
  /** Resolves when it has ended. */
  readonly exited: Promise<void>;
  readonly #pidfd: number;
  #hasExited = false;

  /** @throws SystemError ESRCH: there is no such process */
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

/** When a process was started, in clock ticks since the host booted (proc(5), field 22 of stat): with its pid, its identity; null: it is gone. */
export function startTimeOf(pid: number): number | null {
  const stat = readProc(pid, 'stat');
  if (stat === '') return null;
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
}

/** Why a process does not respond, or, once it has been killed, is still there. */
export function whyStuck(pid: number): string {
  const state = /^State:\s+(\S)/m.exec(readProc(pid, 'status'))?.[1];
  if (state === 'T' || state === 't')
    return `its process ${pid} was stopped by a signal: kill -CONT ${pid} lets it go on`;
  if (state !== 'D') return `its process ${pid} does not respond (state ${state ?? 'unknown'})`;
  const waits = readProc(pid, 'wchan');
  const where = waits === '' || waits === '0' ? '' : ` (in ${waits})`;
  return `its process ${pid} waits for a device or file system of the host${where} and cannot be killed before that responds`;
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}
