import { ConsoleInput } from '../console/console-input.ts';
import { HUNG_UP } from './ending-signal.ts';
import { leaveRawMode, watchRawTerminal } from './raw-terminal.ts';

export type KeyboardEvents = {
  /** Has the guest asked its terminal to mark pastes? */
  wantsPasteMarkers(): boolean;
  /** For the guest. */
  typed(bytes: Uint8Array): void;
  /** For the guest, from a file or a pipe, which is not read on before this resolves. */
  fed(bytes: Uint8Array): Promise<void>;
  /** The user leaves by Ctrl-], or the terminal is gone: with the exit status for it. */
  left(status: number): void;
  /** A file or a pipe has been read to its end, which is no reason to leave. */
  inputEnded(): void;
};

/**
 * Reads this process's stdin for a guest: raw when it is a terminal, where Ctrl-] leaves.
 * @returns puts the terminal back
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
    // Who is not there any more takes nothing, and holds nobody up.
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
    // The listener of errors stays: there may be one more.
    stdin.off('data', data);
    stdin.off('end', ended);
    if (terminal) leaveRawMode(stdin);
    // Reading stdin would keep the process alive.
    stdin.unref?.();
    stdin.pause();
  };
}
