/** What asks a manager to stop. */
export type StopRequests = {
  /** Resolves with the first request, and who made it. */
  readonly first: Promise<StopReason>;
  /** It was asked again: it should not wait any longer. */
  readonly second: Promise<void>;
  /** As a client does. */
  request(reason: StopReason): void;
};

export type StopReason = {
  readonly text: string;
  /** For the guests to power off, in place of the manager's own. */
  readonly timeoutMs?: number;
  /** The VMs go on, for the next manager. */
  readonly keepVms?: boolean;
};

export function stopRequests(note: (text: string) => void): StopRequests {
  const first = Promise.withResolvers<StopReason>();
  const second = Promise.withResolvers<void>();
  let asked = false;
  const request = (reason: StopReason) => {
    // One that is to leave the VMs alone does not hurry their end.
    if (asked && !reason.keepVms) second.resolve();
    asked = true;
    first.resolve(reason);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => request({ text: `stopped by ${signal}` }));
  // As systemd restarts the service (RestartKillSignal= in its unit), and as a client of another version does.
  process.on('SIGUSR2', () => request({ text: 'replaced, by SIGUSR2', keepVms: true }));
  // Ctrl-\\ at a terminal: guests are not waited for.
  process.on('SIGQUIT', () => {
    request({ text: 'stopped by SIGQUIT' });
    second.resolve();
  });
  // VMs outlive the terminal that their manager was started from.
  process.on('SIGHUP', () => note('its terminal was closed (SIGHUP); the VMs keep running'));
  return { first: first.promise, second: second.promise, request };
}

/** An error in what serves clients is no reason to leave the VMs without a manager. */
export function surviveExceptions(note: (text: string) => void): void {
  process.on('uncaughtException', error => {
    try {
      note(`internal error; the VMs keep running: ${error instanceof Error ? error.stack : String(error)}`);
    } catch {
      // The log itself fails: there is nowhere to report that.
    }
  });
}
