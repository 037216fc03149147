import { stopJob, watchJob } from '../job-control.ts';

/**
 * Makes writes non-blocking. Node writes to terminals synchronously: a terminal that does not read would block the
 * whole process, including signal handlers.
 */
export function neverBlock(
  stream: NodeJS.WriteStream & { _handle?: { setBlocking?(on: boolean): void } },
): void {
  stream._handle?.setBlocking?.(false);
}

export function leaveRawMode(stdin: NodeJS.ReadStream): void {
  try {
    stdin.setRawMode(false);
  } catch {
    // The terminal is gone.
  }
}

/**
 * Leaves raw mode while the process is stopped by SIGTSTP (the key itself goes to the guest), and enters it again when the
 * shell continues the process. @returns stops watching
 */
export function watchRawTerminal(stdin: NodeJS.ReadStream, hidden = () => {}, shown = () => {}): () => void {
  let unwatch = () => {};
  let ended = false;
  const take = () => {
    if (ended) return;
    // Node believes the terminal is raw, but the shell has reset it.
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
