import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * Waits for a signal that asks the process to end. @returns its exit status, by the shells' convention, and `ignore`,
 * which restores the default action of these signals.
 */
export function endingSignal(): { status: Promise<number>; ignore: () => void } {
  const { promise: status, resolve } = Promise.withResolvers<number>();
  const arrived = (_name: string, number: number) => resolve(exitStatusOf(number));
  for (const signal of SIGNALS) process.on(signal, arrived);
  return {
    status,
    ignore: () => {
      for (const signal of SIGNALS) process.off(signal, arrived);
    },
  };
}

/** The exit status of a command that a signal ended. */
export function exitStatusOf(signal: number): number {
  return 128 + signal;
}

/** The exit status for a lost terminal. */
export const HUNG_UP = exitStatusOf(constants.signals.SIGHUP);
