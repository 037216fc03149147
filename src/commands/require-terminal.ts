import { UsageError } from './usage-error.ts';

/** @throws UsageError where the full-screen UI can't be shown. */
export function requireTerminal(): void {
  if (process.stdout.isTTY && process.stdin.isTTY) return;
  throw new UsageError(
    'the UI needs a terminal on stdin and stdout; vring --help lists the commands that do not',
  );
}
