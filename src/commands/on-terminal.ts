import { fstatSync } from 'node:fs';
import { UsageError } from '../text/usage-error.ts';

/** Whether stdin and stdout are both a terminal. */
export function onTerminal(): boolean {
  return [process.stdin, process.stdout].every(({ isTTY }) => isTTY === true);
}

/** The same, without creating Node's streams, which takes milliseconds. */
export function onTerminalAtStart(): boolean {
  return [0, 1].every(fd => fstatSync(fd).isCharacterDevice()) && onTerminal();
}

/** @throws UsageError if the full-screen UI cannot be shown */
export function requireTerminal(): void {
  if (onTerminal()) return;
  throw new UsageError(
    'the UI needs a terminal on stdin and stdout; vring --help lists the commands that do not',
  );
}
