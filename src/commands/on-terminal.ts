import { UsageError } from '../text/usage-error.ts';
/** Whether stdin and stdout are both a terminal. */
export function onTerminal(): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true;
}

/** @throws UsageError where the full-screen UI cannot be shown */
export function requireTerminal(): void {
  if (onTerminal()) return;
  throw new UsageError(
    'the UI needs a terminal on stdin and stdout; vring --help lists the commands that do not',
  );
}
