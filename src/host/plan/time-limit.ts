import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** How long an operation on the host may take. */
export type TimeLimit = {
  readonly seconds: number;
  /** Called when it has begun, and each second while it lasts. @param passed seconds so far */
  readonly onWait: (passed: number) => void;
};

/** The kernel does not answer: not even a signal ends the process that asked it. Whether it was done is not known. */
export class HangingError extends Error {
  override readonly name = 'HangingError';
  readonly pid: number;

  constructor(pid: number, seconds: number) {
    super(`the kernel has not answered within ${seconds} s: process ${pid} hangs in it, and cannot be ended`);
    this.pid = pid;
  }
}

const TICK_MS = 1000;
/** Between a request to end and SIGKILL; and after that until the process counts as hanging. */
const GRACE_MS = 5000;
const KILLED_MS = 2000;

/**
 * Waits for what a child process does.
 * @param gentle give it time to end by itself, on SIGTERM to its process group
 * @throws HangingError when it can't be ended either; a plain error when it could, after its time
 */
export async function withinLimit<T>(
  child: ChildProcess,
  result: Promise<T>,
  { seconds, onWait }: TimeLimit,
  gentle: boolean,
): Promise<T> {
  onWait(0);
  let passed = 0;
  let stop = () => {};
  const expired = new Promise<'expired'>(resolve => {
    const timer = setInterval(() => {
      passed++;
      if (passed >= seconds) resolve('expired');
      else onWait(passed);
    }, TICK_MS);
    stop = () => clearInterval(timer);
  });
  try {
    const first = await Promise.race([result.then(value => ({ value })), expired]);
    if (first !== 'expired') return first.value;
  } finally {
    stop();
  }
  // What becomes of it now is of no interest any more.
  result.catch(() => {});
  if (!(await end(child, gentle))) throw new HangingError(child.pid!, seconds);
  throw new Error(`it did not end within ${seconds} s and was interrupted`);
}

/** @returns whether it has ended */
async function end(child: ChildProcess, gentle: boolean): Promise<boolean> {
  if (gentle) {
    signal(child, 'SIGTERM');
    if (await endsWithin(child, GRACE_MS)) return true;
  }
  signal(child, 'SIGKILL');
  return await endsWithin(child, KILLED_MS);
}

/** The whole process group, which each child is the leader of. */
function signal(child: ChildProcess, name: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, name);
  } catch {
    // It has just ended.
  }
}

async function endsWithin(child: ChildProcess, milliseconds: number): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null) return true;
  const late = AbortSignal.timeout(milliseconds);
  // A timeout's own timer does not keep this process alive: the next one does.
  const keepAlive = setTimeout(() => {}, milliseconds + 100);
  try {
    await once(child, 'exit', { signal: late });
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(keepAlive);
  }
}
