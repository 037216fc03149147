/** Requests to stop a manager. */
export type StopRequests = {
  /** Resolves with the first request and its origin. */
  readonly first: Promise<StopReason>;
  /** Resolves on a second request: stop waiting. */
  readonly second: Promise<void>;
  /** Makes a request, as a client does. */
  request(reason: StopReason): void;
};

export type StopReason = {
  readonly text: string;
  /** How long guests may take to power off; default: the manager's own setting. */
  readonly timeoutMs?: number;
  /** Leave the VMs running, for the next manager. */
  readonly keepVms?: boolean;
};

export function stopRequests(note: (text: string) => void): StopRequests {
  const first = Promise.withResolvers<StopReason>();
  const second = Promise.withResolvers<void>();
  let asked = false;
  const request = (reason: StopReason) => {
    // A request to keep the VMs does not hurry their shutdown.
    if (asked && !reason.keepVms) second.resolve();
    asked = true;
    first.resolve(reason);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => request({ text: `stopped by ${signal}` }));
  // systemd sends it to restart the service (RestartKillSignal= in its unit), as does a client of another version.
  process.on('SIGUSR2', () => request({ text: 'replaced, by SIGUSR2', keepVms: true }));
  // Ctrl-\\ at a terminal: do not wait for guests.
  process.on('SIGQUIT', () => {
    request({ text: 'stopped by SIGQUIT' });
    second.resolve();
  });
  // VMs outlive the terminal from which their manager was started.
  process.on('SIGHUP', () => note('its terminal was closed (SIGHUP); the VMs keep running'));
  return { first: first.promise, second: second.promise, request };
}

/** Keeps the manager running after an exception: an error in serving clients must not leave the VMs without one. */
export function surviveExceptions(note: (text: string) => void): void {
  process.on('uncaughtException', error => {
    try {
      note(`internal error; the VMs keep running: ${error instanceof Error ? error.stack : String(error)}`);
    } catch {
      // The log itself fails: there is nowhere left to report.
    }
  });
}
