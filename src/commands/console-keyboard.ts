import { ConsoleInput } from '../console/console-input.ts';
import { HUNG_UP } from './ending-signal.ts';
import { leaveRawMode, watchRawTerminal } from './raw-terminal.ts';

export type KeyboardEvents = {
  /** Whether the guest enabled bracketed paste. */
  wantsPasteMarkers(): boolean;
  /** For the guest. */
  typed(bytes: Uint8Array): void;
  /** For the guest, from a file or a pipe. Reading continues once this resolves. */
  fed(bytes: Uint8Array): Promise<void>;
  /** The user pressed Ctrl-], or the terminal is gone. `status` is the exit status. */
  left(status: number): void;
  /** A file or a pipe reached its end; the console stays attached. */
  inputEnded(): void;
};

/**
 * Reads this process's stdin for a guest: raw when it is a terminal, where Ctrl-] leaves.
 * @returns restores the terminal
 */
export function listenToKeyboard(events: KeyboardEvents): () => void {
  const { wantsPasteMarkers, typed, fed, left, inputEnded } = events;
  const { stdin } = process;
  const terminal = stdin.isTTY === true;
  const input = new ConsoleInput({ wantsPasteMarkers, typed });
  const data = (bytes: Buffer) => {
    if (!terminal) void feed(bytes);
    else if (input.push(bytes) !== null) left(0);
  };
  let stopped = false;
  const feed = async (bytes: Buffer) => {
    stdin.pause();
    // A closed console accepts nothing; do not wait for it.
    await fed(Uint8Array.from(bytes)).catch(() => {});
    if (!stopped) stdin.resume();
  };
  const ended = () => {
    input.end();
    if (terminal) left(HUNG_UP);
    else inputEnded();
  };
  stdin.on('data', data);
  stdin.on('end', ended);
  stdin.on('error', ended);
  if (terminal) stdin.setRawMode(true);
  const unwatch = terminal ? watchRawTerminal(stdin) : () => {};
  return () => {
    stopped = true;
    unwatch();
    // Keep the error listener: another error may follow.
    stdin.off('data', data);
    stdin.off('end', ended);
    if (terminal) leaveRawMode(stdin);
    // Reading stdin would keep the process alive.
    stdin.unref?.();
    stdin.pause();
  };
}
