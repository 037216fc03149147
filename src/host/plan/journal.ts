import fs from 'node:fs/promises';
import path from 'node:path';
import { replaceFile } from '../../files/replace-file.ts';
import type { UndoneChange } from './apply.ts';
import { type Condition, type Plan, planVersion } from './plan.ts';
import type { StepState } from './step-states.ts';

/** One plan that was begun, in the order of their ids. */
export type JournalEntry = {
  readonly version: typeof planVersion;
  readonly id: string;
  /** ISO 8601. */
  readonly at: string;
  /** /proc/sys/kernel/random/boot_id of then: what a plan writes to sysfs is gone after a boot. */
  readonly bootId: string;
  /**
   * `applying`: under way, or interrupted with the process. `failed`: a step failed, and so did undoing the earlier
   * ones. A plan that failed and was undone completely has no entry.
   */
  readonly state: 'applying' | 'applied' | 'failed' | 'undone';
  readonly plan: Plan;
  readonly steps: readonly StepState[];
  /** What held after it was applied. */
  readonly left: readonly Condition[];
  /** What could not be undone. */
  readonly failures: readonly UndoneChange[];
};

const keptEntries = 50;

/** /var/lib/vring/plans for root, else below $XDG_STATE_HOME. */
export function journalDirectory(
  env: NodeJS.ProcessEnv = process.env,
  isRoot = process.getuid?.() === 0,
): string {
  if (isRoot) return '/var/lib/vring/plans';
  return path.join(env.XDG_STATE_HOME || path.join(env.HOME || '/tmp', '.local/state'), 'vring/plans');
}

/** The last plans, one file each. Files are replaced as a whole: an interrupted write leaves the older state. */
export class Journal {
  readonly directory: string;

  constructor(directory = journalDirectory()) {
    this.directory = directory;
  }

  /** Oldest first. A file that is no entry of this version is left out. */
  async entries(): Promise<JournalEntry[]> {
    const entries: JournalEntry[] = [];
    for (const name of await this.#names()) {
      const entry = parseEntry(await fs.readFile(this.#file(name), 'utf8').catch(() => ''));
      if (entry) entries.push(entry);
    }
    return entries;
  }

  /** The newest plan that can be undone. */
  async latest(): Promise<JournalEntry | null> {
    return (await this.entries()).findLast(entry => entry.state !== 'undone') ?? null;
  }

  async begin(plan: Plan, bootId: string): Promise<JournalEntry> {
    await fs.mkdir(this.directory, { recursive: true, mode: 0o700 });
    const entry: JournalEntry = {
      version: planVersion,
      id: await this.#claimId(),
      at: new Date().toISOString(),
      bootId,
      state: 'applying',
      plan,
      steps: plan.steps.map(() => 'pending'),
      left: [],
      failures: [],
    };
    await this.write(entry);
    await this.#prune();
    return entry;
  }

  async write(entry: JournalEntry): Promise<void> {
    replaceFile(this.#file(`${entry.id}.json`), `${JSON.stringify(entry, null, 2)}\n`, { mode: 0o600 });
  }

  async remove(entry: JournalEntry): Promise<void> {
    await fs.rm(this.#file(`${entry.id}.json`), { force: true });
  }

  /** Another process may begin a plan at the same time: an id is taken by making its file. */
  async #claimId(): Promise<string> {
    const last = (await this.#names()).at(-1);
    for (let number = last === undefined ? 1 : Number.parseInt(last, 10) + 1; ; number++) {
      const id = String(number).padStart(6, '0');
      try {
        await fs.writeFile(this.#file(`${id}.json`), '', { flag: 'wx', mode: 0o600 });
        return id;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  }

  async #names(): Promise<string[]> {
    const names = await fs.readdir(this.directory).catch(() => []);
    return names
      .filter(name => /^\d{6,}\.json$/.test(name))
      .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  }

  async #prune(): Promise<void> {
    const names = await this.#names();
    for (const name of names.slice(0, -keptEntries)) await fs.rm(this.#file(name), { force: true });
  }

  #file(name: string): string {
    return path.join(this.directory, name);
  }
}

function parseEntry(text: string): JournalEntry | null {
  try {
    const entry = JSON.parse(text) as JournalEntry;
    return entry.version === planVersion && Array.isArray(entry.plan.steps) ? entry : null;
  } catch {
    return null;
  }
}
