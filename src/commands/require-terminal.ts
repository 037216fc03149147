import { UsageError } from '../text/usage-error.ts';
import { onTerminal } from './on-terminal.ts';

/** @throws UsageError where the full-screen UI can't be shown. */
export function requireTerminal(): void {
  if (onTerminal()) return;
  throw new UsageError(
    'the UI needs a terminal on stdin and stdout; vring --help lists the commands that do not',
  );
}
