import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import type { UiOptions } from '../../src/app.tsx';
import { Journal } from '../../src/host/plan/journal.ts';
import { SimulatedHost } from '../host/plan/simulated-host.ts';
import type { TreeBuilder } from '../host/trees/builder.ts';
import { FakeEngine } from './fake-engine.ts';
import { inlineHost } from './inline-host.ts';
import { ManualClock } from './manual-clock.ts';
import { TerminalDriver } from './terminal-driver.ts';

/** How often to check whether the screen has settled, and how many times in a row it must be unchanged. */
const TURN_MS = 20;
const QUIET_TURNS = 6;
/** What the UI shows while it waits for files to be written. */
const BUSY = /^ (planning|under way|looking for the last change)$/m;

type Options = Partial<UiOptions> & {
  readonly columns?: number;
  readonly rows?: number;
  /** Why the host can't be changed. */
  readonly unchangeable?: string;
  readonly recording?: string;
};

/** The UI on a simulated host, as a user sees and drives it. Both end with the test. */
export class HostDriver {
  readonly clock = new ManualClock();
  readonly engine = new FakeEngine(this.clock);
  readonly host: SimulatedHost;
  readonly terminal: TerminalDriver;
  readonly #journal = fs.mkdtempSync(path.join(os.tmpdir(), 'vring-journal-'));

  constructor(
    tree: TreeBuilder,
    { columns = 80, rows = 24, unchangeable, recording, ...options }: Options = {},
  ) {
    this.host = new SimulatedHost(tree);
    const host = inlineHost(this.host.root, this.clock, {
      writer: this.host,
      journal: new Journal(this.#journal),
      ...(unchangeable !== undefined && { unchangeable }),
      ...(recording !== undefined && { recording }),
    });
    // Vitest calls the last one first: the UI has exited by then.
    onTestFinished(() => {
      this.host.dispose();
      fs.rmSync(this.#journal, { recursive: true, force: true });
    });
    this.terminal = new TerminalDriver(this.engine, this.clock, columns, rows, { host, ...options });
  }

  get screen(): string {
    return this.terminal.screen;
  }

  /** The line that the cursor is on, without the cursor. */
  get current(): string {
    return (
      this.terminal.lines
        .find(line => line.startsWith('>'))
        ?.slice(1)
        .trim() ?? ''
    );
  }

  /** Types each chunk once the screen has settled after the previous one. An Esc is a separate chunk. */
  async press(...pieces: string[]): Promise<void> {
    for (const piece of pieces) {
      this.terminal.type(piece);
      // An Esc may be the start of a sequence for a while, and details are loaded once the cursor rests.
      this.clock.advance(100);
      await this.still();
    }
  }

  /**
   * Waits until the screen has settled. Everything that changes it either runs in this process or is shown as in
   * progress. Turns of the event loop count, not time: a slow machine makes turns long, not few.
   */
  async still(): Promise<void> {
    const { stdout } = this.terminal;
    let before = stdout.written.length;
    for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
      await new Promise(resolve => setTimeout(resolve, TURN_MS));
      if (stdout.written.length !== before || BUSY.test(this.screen)) quiet = 0;
      before = stdout.written.length;
    }
    await this.terminal.settled();
  }

  leave(): Promise<void> {
    return this.terminal.leave();
  }
}
