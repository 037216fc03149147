import { watchJob } from './job-control.ts';

/**
 * Makes the terminal mark pastes (xterm control sequences, "bracketed paste mode"), so that they are not taken for
 * keys.
 */
const BRACKETED_PASTE = { on: '\x1b[?2004h', off: '\x1b[?2004l' } as const;

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

const ignore = () => {};

export type TerminalListener = {
  typed(bytes: Uint8Array): void;
  /** Called immediately, and whenever the size changes. */
  resized(size: { columns: number; rows: number }): void;
  /** The terminal is gone, or a signal asks the process to end. */
  ended(): void;
  /** SIGTSTP: lend the terminal to `stopJob`. */
  stopAsked(): void;
  /** The process was stopped by SIGSTOP and is back: the terminal's contents are unknown. */
  continued(): void;
};

/**
 * Takes the terminal: input arrives unbuffered and unechoed, as bytes.
 * @returns functions that release the terminal, for good or temporarily; the end of the process releases it, too
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
  // A terminal that does not know its size reports 0 by 0.
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
      // Ctrl-C is for the program that has the terminal, although the kernel sends it to this process, too.
      process.off('SIGINT', ended);
      process.on('SIGINT', ignore);
      // Ctrl-Z stops that program and this process together.
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
      // A terminal that goes away causes several events: late ones must not end the process before the caller has dealt
      // with its VMs. The error listeners stay for the same reason.
      process.off('SIGHUP', ignore);
      process.on('SIGHUP', ignore);
    },
  };
}
