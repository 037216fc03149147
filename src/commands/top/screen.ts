import { writeOut } from '../../text/output.ts';
import { printable } from '../../text/printable.ts';
import { watchRawTerminal } from '../raw-terminal.ts';

const ALTERNATE_SCREEN = { on: '\x1b[?1049h\x1b[?25l', off: '\x1b[?25h\x1b[?1049l' } as const;
const HOME = '\x1b[H';
const ERASE_TO_END_OF_LINE = '\x1b[K';
const ERASE_BELOW = '\x1b[J';
const CTRL_Z = '\x1a';
const LEAVING_KEYS = /[q\x03\x04\x1b]/;

/** A full-screen page of lines on a terminal, until a key quits. */
export class Screen {
  readonly left: Promise<void>;
  readonly #typed: (bytes: Buffer) => void;
  readonly #unwatch: () => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.left = promise;
    this.#typed = bytes => {
      const keys = bytes.toString('latin1');
      if (LEAVING_KEYS.test(keys)) resolve();
      else if (keys.includes(CTRL_Z)) process.kill(process.pid, 'SIGTSTP');
    };
    process.stdin.setRawMode(true);
    process.stdin.on('data', this.#typed);
    process.stdin.on('end', resolve);
    writeOut(ALTERNATE_SCREEN.on);
    this.#unwatch = watchRawTerminal(
      process.stdin,
      () => writeOut(ALTERNATE_SCREEN.off),
      () => writeOut(ALTERNATE_SCREEN.on),
    );
  }

  show(lines: readonly string[]): void {
    const rows = process.stdout.rows || 24;
    const picture = lines.slice(0, rows).map(line => printable(line) + ERASE_TO_END_OF_LINE);
    writeOut(HOME + picture.join('\r\n') + ERASE_BELOW);
  }

  close(): void {
    this.#unwatch();
    writeOut(ALTERNATE_SCREEN.off);
    process.stdin.off('data', this.#typed);
    process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}
