import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import xterm from '@xterm/headless';

const PATIENCE_MS = 20_000;

export type PtyOptions = {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
};

/** A program on its own terminal: script(1) holds the other end, and an emulator shows what a user would see. */
export class PtyProgram implements AsyncDisposable {
  readonly #script: ChildProcess;
  readonly #terminal: xterm.Terminal;
  readonly #exited: Promise<void>;
  #check: () => void = () => {};
  #arrived = Promise.withResolvers<void>();
  /** Bytes that the program wrote to its terminal. */
  received = 0;

  constructor(command: readonly string[], { columns = 80, rows = 24, env = {} }: PtyOptions = {}) {
    this.#terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 1000 });
    const line = command.map(word => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    this.#script = spawn(
      'script',
      ['-qfec', `stty rows ${rows} cols ${columns}; exec ${line}`, '/dev/null'],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { ...process.env, TERM: 'xterm', LANG: 'C.UTF-8', SHELL: '/bin/sh', ...env },
      },
    );
    this.#script.stdin!.on('error', () => {});
    this.#script.stdout!.on('data', (bytes: Buffer) => {
      this.received += bytes.length;
      this.#arrived.resolve();
      this.#arrived = Promise.withResolvers<void>();
      this.#terminal.write(bytes, () => this.#check());
    });
    this.#exited = new Promise(resolve => this.#script.once('close', () => resolve()));
  }

  /** The program's process: script(1) started a shell that exec'd it. */
  get pid(): number {
    const children = readFileSync(`/proc/${this.#script.pid}/task/${this.#script.pid}/children`, 'latin1');
    const [child] = children.trim().split(' ');
    if (!child) throw new Error('the program has not started, or has ended');
    return Number(child);
  }

  /** What a user sees, without blanks at line ends. */
  get screen(): string {
    const { active } = this.#terminal.buffer;
    return Array.from({ length: this.#terminal.rows }, (_, row) =>
      (active.getLine(active.viewportY + row)?.translateToString(true) ?? '').trimEnd(),
    ).join('\n');
  }

  /** Resolves when the program writes something. */
  get output(): Promise<void> {
    return this.#arrived.promise;
  }

  type(text: string): void {
    this.#script.stdin!.write(text);
  }

  /** Resolves once the screen shows `what`. @throws with the screen if it does not in time */
  async shows(what: string | RegExp, patience: number = PATIENCE_MS): Promise<void> {
    const shown = () => (typeof what === 'string' ? this.screen.includes(what) : what.test(this.screen));
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#check = () => {};
        reject(new Error(`the screen does not show ${what}:\n${this.screen}`));
      }, patience);
      this.#check = () => {
        if (!shown()) return;
        clearTimeout(timer);
        this.#check = () => {};
        resolve();
      };
      this.#check();
    });
  }

  /** Ends the program's process with a signal. */
  kill(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Hangs up the terminal, as a closed SSH connection does: the kernel sends SIGHUP. */
  async hangUp(): Promise<void> {
    this.#script.kill('SIGKILL');
    await this.#exited;
  }

  /** Resolves when the program has ended on its own. */
  async ended(): Promise<void> {
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hangUp();
  }
}
