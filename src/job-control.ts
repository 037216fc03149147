/** A job that cannot be stopped (its shell is gone, or it is a session's first process) goes on after this time. */
const STOPS_WITHIN_MS = 200;

/**
 * Stops the whole job that this process is part of, as the terminal does on Ctrl-Z. Whoever calls this has put the terminal
 * back and no listener of SIGTSTP is left: the kernel's default stops each process, and ignores it where no shell could
 * bring the job back (orphaned process groups, POSIX.1-2017 §11.1.4).
 * @returns when the shell has brought it back
 */
export async function stopJob(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.once('SIGCONT', resolve);
  process.kill(0, 'SIGTSTP');
  // Time does not pass for a stopped process: this runs only after it has come back, or when it was never stopped.
  const timer = setTimeout(resolve, STOPS_WITHIN_MS);
  await promise;
  clearTimeout(timer);
  process.off('SIGCONT', resolve);
}

/** What a terminal program does when its job is stopped and brought back by signals. */
export type JobListener = {
  /** SIGTSTP: put the terminal back, then `stopJob`, then take it again. */
  stopAsked(): void;
  /** SIGCONT after a stop that nobody asked for (SIGSTOP): the shell has changed the terminal meanwhile. */
  continued(): void;
};

/** @returns what gives both signals their usual effect back */
export function watchJob({ stopAsked, continued }: JobListener): () => void {
  process.on('SIGTSTP', stopAsked);
  process.on('SIGCONT', continued);
  return () => {
    process.off('SIGTSTP', stopAsked);
    process.off('SIGCONT', continued);
  };
}
