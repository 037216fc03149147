import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Time limit of an operation on the host. */
export type TimeLimit = {
  readonly seconds: number;
  /** Called at the start and then every second. @param passed seconds so far */
  readonly onWait: (passed: number) => void;
};

/** The kernel does not complete an operation, and signals do not end the process. Its result is unknown. */
export class HangingError extends Error {
  override readonly name = 'HangingError';
  readonly pid: number;

  constructor(pid: number, seconds: number) {
    super(`the kernel did not complete it within ${seconds} s: process ${pid} is stuck and cannot be killed`);
    this.pid = pid;
  }
}

const TICK_MS = 1000;
/** Between SIGTERM and SIGKILL, and then until the process counts as hanging. */
const GRACE_MS = 5000;
const KILLED_MS = 2000;

/**
 * Waits for a child process.
 * @param gentle send SIGTERM to its process group before SIGKILL
 * @throws HangingError if it cannot be killed; a plain error if it was killed after its time limit
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
  // Its result no longer matters.
  result.catch(() => {});
  if (!(await end(child, gentle))) throw new HangingError(child.pid!, seconds);
  throw new Error(`it did not finish within ${seconds} s and was interrupted`);
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

/** The whole process group; each child leads its own. */
function signal(child: ChildProcess, name: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, name);
  } catch {
    // It has already exited.
  }
}

async function endsWithin(child: ChildProcess, milliseconds: number): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null) return true;
  const late = AbortSignal.timeout(milliseconds);
  // A timeout's own timer does not keep this process alive, but this one does.
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
