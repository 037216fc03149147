/** How long to wait for a job that cannot be stopped (its shell is gone, or it is a session's first process). */
const STOPS_WITHIN_MS = 200;

/**
 * Stops this process's whole job, as the terminal does on Ctrl-Z. The caller has restored the terminal and removed all
 * listeners of SIGTSTP: the kernel's default action stops each process, and does nothing where no shell could bring the
 * job back (orphaned process groups, POSIX.1-2017 §11.1.4).
 * @returns once the shell has brought it back
 */
export async function stopJob(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.once('SIGCONT', resolve);
  process.kill(0, 'SIGTSTP');
  // Time does not pass for a stopped process: this fires only after it was brought back, or if it was never stopped.
  const timer = setTimeout(resolve, STOPS_WITHIN_MS);
  await promise;
  clearTimeout(timer);
  process.off('SIGCONT', resolve);
}

/** How a terminal program handles job control signals. */
export type JobListener = {
  /** SIGTSTP: restore the terminal, call `stopJob`, then take the terminal again. */
  stopAsked(): void;
  /** SIGCONT after SIGSTOP: the shell has changed the terminal in the meantime. */
  continued(): void;
};

/** @returns a function that restores the default action of both signals */
export function watchJob({ stopAsked, continued }: JobListener): () => void {
  process.on('SIGTSTP', stopAsked);
  process.on('SIGCONT', continued);
  return () => {
    process.off('SIGTSTP', stopAsked);
    process.off('SIGCONT', continued);
  };
}
