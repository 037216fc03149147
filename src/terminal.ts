import { watchJob } from './job-control.ts';

/** Has the terminal mark what is pasted (xterm control sequences, "bracketed paste mode"), so that it is not keys. */
const BRACKETED_PASTE = { on: '\x1b[?2004h', off: '\x1b[?2004l' } as const;

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

const ignore = () => {};

export type TerminalListener = {
  typed(bytes: Uint8Array): void;
  /** Called at once, and whenever the size changes. */
  resized(size: { columns: number; rows: number }): void;
  /** The terminal is gone, or a signal asks the process to end. */
  ended(): void;
  /** SIGTSTP: lend the terminal to `stopJob`. */
  stopAsked(): void;
  /** The process was stopped without being asked, and is back: nothing is known of what is on the terminal. */
  continued(): void;
};

/**
 * Takes the terminal: keys come as they are typed, unechoed, as bytes.
 * @returns what gives the terminal back, for good or for a while; the end of the process does, too.
 */
export function openTerminal(
  stdin: NodeJS.ReadStream,
  stdout: NodeJS.WriteStream,
  { typed, resized, ended, stopAsked, continued }: TerminalListener,
): { close(): void; lend(use: () => Promise<void>): Promise<void> } {
  const take = () => {
    stdin.setRawMode(true);
    stdout.write(BRACKETED_PASTE.on);
    stdin.on('data', typed);
    stdin.resume();
  };
  const giveBack = () => {
    stdin.off('data', typed);
    stdout.write(BRACKETED_PASTE.off);
    stdin.setRawMode(false);
    stdin.pause();
  };
  // A terminal that does not know its size says 0 by 0.
  const resize = () => resized({ columns: stdout.columns || 80, rows: stdout.rows || 24 });
  resize();
  stdout.on('resize', resize);
  stdin.on('error', ended);
  stdout.on('error', ended);
  stdin.on('end', ended);
  process.on('exit', giveBack);
  for (const signal of ENDING_SIGNALS) process.on(signal, ended);
  const watch = () =>
    watchJob({
      stopAsked,
      continued: () => {
        giveBack();
        take();
        resize();
        continued();
      },
    });
  let unwatch = watch();
  take();
  return {
    lend: async use => {
      giveBack();
      // Ctrl-C is for whoever has the terminal, although the kernel sends it to this process, too.
      process.off('SIGINT', ended);
      process.on('SIGINT', ignore);
      // Ctrl-Z stops it and this process together.
      unwatch();
      try {
        await use();
      } finally {
        process.off('SIGINT', ignore);
        process.on('SIGINT', ended);
        unwatch = watch();
        take();
        resize();
      }
    },
    close: () => {
      for (const signal of ENDING_SIGNALS) process.off(signal, ended);
      process.off('exit', giveBack);
      unwatch();
      stdin.off('end', ended);
      stdout.off('resize', resize);
      giveBack();
      // A terminal that is gone says so several times: what comes late must not end the process before its VMs are put
      // away. That is also why the listeners for errors stay.
      process.off('SIGHUP', ignore);
      process.on('SIGHUP', ignore);
    },
  };
}
