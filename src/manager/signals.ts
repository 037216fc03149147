/** What asks a manager to end, and what doesn't. */
export type EndingSignals = {
  /** Resolves with what to say about it. */
  readonly first: Promise<string>;
  /** Asked again: it should not wait any longer. */
  readonly second: Promise<void>;
};

export function endingSignals(note: (text: string) => void): EndingSignals {
  const first = Promise.withResolvers<string>();
  const second = Promise.withResolvers<void>();
  let asked = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (asked) second.resolve();
      asked = true;
      first.resolve(`it was stopped by ${signal}`);
    });
  }
  // Ctrl-\ at a terminal, for who does not want to wait for guests.
  process.on('SIGQUIT', () => {
    first.resolve('it was stopped by SIGQUIT');
    second.resolve();
  });
  // A terminal that closes is no reason for VMs to end.
  process.on('SIGHUP', () => note('its terminal was closed (SIGHUP): the VMs go on'));
  return { first: first.promise, second: second.promise };
}

/** The VMs have threads of their own: an error in what serves clients is no reason for them to end. */
export function surviveExceptions(note: (text: string) => void): void {
  process.on('uncaughtException', error => {
    try {
      note(
        `an error that nobody expected; the VMs go on: ${error instanceof Error ? error.stack : String(error)}`,
      );
    } catch {
      // Where the log itself is what fails, there is nobody left to tell.
    }
  });
}
