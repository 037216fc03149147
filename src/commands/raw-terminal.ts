import { stopJob, watchJob } from '../job-control.ts';

/** Node waits for terminals when it writes: one that takes nothing would hold up the whole process, signals included. */
export function neverBlock(
  stream: NodeJS.WriteStream & { _handle?: { setBlocking?(on: boolean): void } },
): void {
  stream._handle?.setBlocking?.(false);
}

export function leaveRawMode(stdin: NodeJS.ReadStream): void {
  try {
    stdin.setRawMode(false);
  } catch {
    // A terminal that is gone has no mode.
  }
}

/**
 * Gives a raw terminal back while the process is stopped by SIGTSTP (the key itself is the guest's), and makes it raw again
 * when the shell brings the process back. @returns ends that
 */
export function watchRawTerminal(stdin: NodeJS.ReadStream, hidden = () => {}, shown = () => {}): () => void {
  let unwatch = () => {};
  let ended = false;
  const take = () => {
    if (ended) return;
    // What Node takes for raw may not be so any more: the shell has had the terminal.
    leaveRawMode(stdin);
    stdin.setRawMode(true);
    shown();
  };
  const watch = () => {
    if (!ended) unwatch = watchJob({ stopAsked: () => void stop(), continued: take });
  };
  const stop = async () => {
    unwatch();
    hidden();
    leaveRawMode(stdin);
    await stopJob();
    take();
    watch();
  };
  watch();
  return () => {
    ended = true;
    unwatch();
  };
}
