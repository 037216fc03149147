import { EventEmitter } from 'node:events';
import xterm from '@xterm/headless';
import { onTestFinished } from 'vitest';
import { runUi, type UiOptions } from '../../src/app.tsx';
import type { FakeEngine } from './fake-engine.ts';
import type { ManualClock } from './manual-clock.ts';

const PATIENCE_MS = 20_000;
const FIRST_SAMPLE_MS = 250;

export const KEY = {
  enter: '\r',
  esc: '\x1b',
  tab: '\t',
  up: '\x1b[A',
  down: '\x1b[B',
  pageUp: '\x1b[5~',
  pageDown: '\x1b[6~',
  ctrlC: '\x03',
  ctrlRightBracket: '\x1d',
} as const;

class FakeStdin extends EventEmitter {
  readonly isTTY = true;
  raw = false;
  setRawMode(raw: boolean) {
    this.raw = raw;
    return this;
  }
  resume() {
    return this;
  }
  pause() {
    return this;
  }
  ref() {}
  unref() {}
}

/** The UI's terminal: an emulator that shows what a user would see. */
class FakeStdout extends EventEmitter {
  readonly isTTY = true;
  readonly writable = true;
  readonly terminal: xterm.Terminal;
  /** Everything ever written. */
  written = '';
  #onPicture: () => void = () => {};

  constructor(columns: number, rows: number) {
    super();
    // convertEol: what the kernel's ONLCR does.
    this.terminal = new xterm.Terminal({ cols: columns, rows, convertEol: true, allowProposedApi: true });
  }

  get columns() {
    return this.terminal.cols;
  }

  get rows() {
    return this.terminal.rows;
  }

  set onPicture(listener: () => void) {
    this.#onPicture = listener;
  }

  write(data: string, callback?: () => void): boolean {
    this.written += data;
    this.terminal.write(data, () => {
      this.#onPicture();
      callback?.();
    });
    return true;
  }
}

/**
 * Drives the UI as a user does: types, and waits until the screen shows something. It exits
 * with the test at the latest.
 */
export class TerminalDriver {
  readonly stdin = new FakeStdin();
  readonly stdout: FakeStdout;
  readonly engine: FakeEngine;
  readonly clock: ManualClock;
  /** Resolves when the UI has left the terminal. */
  readonly done: Promise<void>;
  #check: () => void = () => {};

  /** The UI on a terminal of this size, after the first sample. */
  static async start(
    engine: FakeEngine,
    clock: ManualClock,
    columns = 80,
    rows = 24,
    options: Partial<UiOptions> = {},
  ): Promise<TerminalDriver> {
    const driver = new TerminalDriver(engine, clock, columns, rows, options);
    await driver.waitFor('q quit');
    clock.advance(FIRST_SAMPLE_MS);
    return driver;
  }

  constructor(
    engine: FakeEngine,
    clock: ManualClock,
    columns: number,
    rows: number,
    options: Partial<UiOptions> = {},
  ) {
    this.engine = engine;
    this.clock = clock;
    this.stdout = new FakeStdout(columns, rows);
    this.stdout.onPicture = () => this.#check();
    this.done = runUi({
      engine,
      clock,
      stdin: this.stdin as unknown as NodeJS.ReadStream,
      stdout: this.stdout as unknown as NodeJS.WriteStream,
      env: { TERM: 'xterm', LANG: 'C.UTF-8' },
      ...options,
    });
    onTestFinished(() => this.leave());
  }

  /** Types the text as one chunk. */
  type(text: string): void {
    this.stdin.emit('data', Buffer.from(text));
  }

  /** Types Esc, and lets the time pass after which it can no longer start a sequence. */
  escape(): void {
    this.type(KEY.esc);
    this.clock.advance(50);
  }

  /** Exits from any screen, as when the terminal is gone. */
  async leave(): Promise<void> {
    this.stdin.emit('end');
    await this.done;
  }

  /** Waits until the terminal has processed everything written. */
  async settled(): Promise<void> {
    await new Promise<void>(resolve => this.stdout.terminal.write('', resolve));
  }

  /** Changes the terminal's size, and lets the time pass until that takes effect. */
  resize(columns: number, rows: number): void {
    this.stdout.terminal.resize(columns, rows);
    this.stdout.emit('resize');
    this.clock.advance(100);
  }

  /** The lines that a user sees, without trailing blanks. */
  get lines(): string[] {
    const { active } = this.stdout.terminal.buffer;
    return Array.from({ length: this.stdout.rows }, (_, row) =>
      (active.getLine(active.viewportY + row)?.translateToString(true) ?? '').trimEnd(),
    );
  }

  get screen(): string {
    return this.lines.join('\n');
  }

  /** Whether any line continues the one above, as when a terminal wraps. */
  get wrapped(): boolean {
    const { active } = this.stdout.terminal.buffer;
    return Array.from({ length: active.length }, (_, row) => active.getLine(row)?.isWrapped).includes(true);
  }

  /** Waits until the screen contains the text, or satisfies `expected`. */
  async waitFor(expected: string | RegExp | ((driver: this) => boolean)): Promise<void> {
    const met = () => {
      if (typeof expected === 'function') return expected(this);
      return typeof expected === 'string' ? this.screen.includes(expected) : expected.test(this.screen);
    };
    if (met()) return;
    await new Promise<void>((resolve, reject) => {
      const giveUp = setTimeout(
        () => reject(new Error(`the screen never showed ${expected}; it shows:\n${this.screen}`)),
        PATIENCE_MS,
      );
      this.#check = () => {
        if (!met()) return;
        clearTimeout(giveUp);
        this.#check = () => {};
        resolve();
      };
    });
  }
}
