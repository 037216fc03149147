import type { EmulatedHost } from '../../rig/emulated-host.ts';

/** How long the screen may take to show what it should: Node is slow on an emulated CPU. */
const SECONDS = 180;

/** A program on a terminal of the emulated host: tmux there draws it, and takes its keys. */
export class RemoteTerminal {
  readonly #host: EmulatedHost;

  private constructor(host: EmulatedHost) {
    this.#host = host;
  }

  static async start(host: EmulatedHost, command: string, columns = 80, rows = 24): Promise<RemoteTerminal> {
    // Without a status line the program has all rows; its last words stay when it ends.
    await host.check(`
      printf 'set -g status off\\nset -g remain-on-exit on\\n' >/tmp/tmux.conf
      tmux -u -f /tmp/tmux.conf new-session -d -x ${columns} -y ${rows} '${command}'`);
    return new RemoteTerminal(host);
  }

  /** Presses keys, each by tmux's name of it: `4`, `Enter`, `Tab`. */
  async press(...keys: readonly string[]): Promise<void> {
    await this.#host.check(`tmux send-keys ${keys.map(key => `'${key}'`).join(' ')}`);
  }

  /** Waits until the screen shows something. @returns the screen. */
  async waitFor(expected: RegExp, seconds = SECONDS): Promise<string> {
    const end = Date.now() + seconds * 1000;
    while (true) {
      const screen = await this.#host.check('tmux capture-pane -p');
      if (expected.test(screen)) return screen;
      if (Date.now() > end) throw new Error(`the screen never showed ${expected}; it shows:\n${screen}`);
      // There is one CPU: it is the program's.
      await this.#host.check('sleep 0.3');
    }
  }

  /** Ends the program, as when its connection is lost. */
  async close(): Promise<void> {
    await this.#host.check('tmux kill-server');
  }
}
