import { UsageError } from '../text/usage-error.ts';
/** Is somebody there, to look and to type? */
export function onTerminal(): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true;
}

/** @throws UsageError where the full-screen UI can't be shown. */
export function requireTerminal(): void {
  if (onTerminal()) return;
  throw new UsageError(
    'the UI needs a terminal on stdin and stdout; vring --help lists the commands that do not',
  );
}
