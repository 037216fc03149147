import { onTerminal } from './on-terminal.ts';
import { UsageError } from './usage-error.ts';

/** @throws UsageError where the full-screen UI can't be shown. */
export function requireTerminal(): void {
  if (onTerminal()) return;
  throw new UsageError(
    'the UI needs a terminal on stdin and stdout; vring --help lists the commands that do not',
  );
}
