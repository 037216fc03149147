import fs from 'node:fs';
import path from 'node:path';
import { makeFolders } from '../../files/make-folders.ts';
import { replaceFile } from '../../files/replace-file.ts';
import { stateFolder } from '../../files/state-folder.ts';
import { errnoText } from './errors.ts';
import { type JournalEntry, parseEntry } from './journal-schema.ts';
import { type Plan, planVersion } from './plan.ts';

/** The contents of a journal. */
export type JournalContent = {
  /** Oldest first. */
  readonly entries: readonly JournalEntry[];
  /** One sentence per unreadable file; these are ignored. */
  readonly damaged: readonly string[];
};

const KEPT_ENTRIES = 50;
/** A plan takes kilobytes; with the files that it replaces, a few megabytes at most. */
const MAX_BYTES = 64 << 20;

/** `plans` in the state folder. */
export function journalDirectory(env: NodeJS.ProcessEnv = process.env, uid = process.getuid!()): string {
  return path.join(stateFolder(env, uid), 'plans');
}

/** The latest plans, one file each. Files are replaced atomically: an interrupted write leaves the previous state. */
export class Journal {
  readonly directory: string;

  constructor(directory = journalDirectory()) {
    this.directory = directory;
  }

  /** @throws if other users could have written it: root acts on the entries when it undoes them */
  read(): JournalContent {
    const entries: JournalEntry[] = [];
    const damaged: string[] = [];
    for (const name of this.#names()) {
      const entry = this.#readEntry(name);
      if (typeof entry === 'string') damaged.push(`${this.#file(name)} is skipped: ${entry}`);
      else entries.push(entry);
    }
    return { entries, damaged };
  }

  /** Creates an entry. @throws if it cannot be stored; the host must not be changed then */
  begin(plan: Plan, bootId: string): JournalEntry {
    try {
      makeFolders(this.directory, 0o700);
      const entry = this.#create(plan, bootId);
      this.#prune();
      return entry;
    } catch (error) {
      throw new Error(
        `nothing was changed: cannot store the plan for undo in ${this.directory}: ${errnoText(error)}`,
        {
          cause: error,
        },
      );
    }
  }

  /** @throws if it cannot be written; the file keeps its previous state */
  write(entry: JournalEntry): void {
    const file = this.#file(`${entry.id}.json`);
    try {
      replaceFile(file, entryText(entry), { mode: 0o600 });
    } catch (error) {
      throw new Error(`cannot write the journal ${file}: ${errnoText(error)}`, { cause: error });
    }
  }

  remove(entry: JournalEntry): void {
    fs.rmSync(this.#file(`${entry.id}.json`), { force: true });
  }

  /** Creating the file atomically reserves the id: two processes never share one. */
  #create(plan: Plan, bootId: string): JournalEntry {
    const last = this.#names().at(-1);
    for (let number = last === undefined ? 1 : Number.parseInt(last, 10) + 1; ; number++) {
      const entry: JournalEntry = {
        version: planVersion,
        id: String(number).padStart(6, '0'),
        at: new Date().toISOString(),
        bootId,
        state: 'applying',
        plan,
        steps: plan.steps.map(() => 'pending'),
        left: [],
        failures: [],
      };
      try {
        replaceFile(this.#file(`${entry.id}.json`), entryText(entry), { mode: 0o600, exclusive: true });
        return entry;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  }

  #readEntry(name: string): JournalEntry | string {
    try {
      const stat = fs.lstatSync(this.#file(name));
      if (!stat.isFile()) return 'it is not a regular file';
      if (stat.size > MAX_BYTES) return `it is too large for a plan (${stat.size} bytes)`;
      const entry = parseEntry(fs.readFileSync(this.#file(name), 'utf8'));
      if (typeof entry === 'string' || `${entry.id}.json` === name) return entry;
      return `it claims to be entry ${entry.id}`;
    } catch (error) {
      return errnoText(error);
    }
  }

  #names(): string[] {
    const stat = this.#stat();
    if (stat === undefined) return [];
    if (!stat.isDirectory()) throw new Error(`${this.directory} is not a directory: move it away`);
    if (stat.uid !== process.getuid!() || (stat.mode & 0o022) !== 0) {
      throw new Error(
        `other users can write to ${this.directory}, so its plans cannot be trusted: move it away`,
      );
    }
    return fs
      .readdirSync(this.directory)
      .filter(name => /^\d{6,}\.json$/.test(name))
      .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  }

  #stat(): fs.Stats | undefined {
    try {
      return fs.statSync(this.directory, { throwIfNoEntry: false });
    } catch (error) {
      throw new Error(`cannot read the plans in ${this.directory}: ${errnoText(error)}`, { cause: error });
    }
  }

  #prune(): void {
    for (const name of this.#names().slice(0, -KEPT_ENTRIES)) fs.rmSync(this.#file(name), { force: true });
  }

  #file(name: string): string {
    return path.join(this.directory, name);
  }
}

/** The newest plan that can be undone. */
export function latestEntry({ entries }: JournalContent): JournalEntry | null {
  return entries.findLast(entry => entry.state !== 'undone') ?? null;
}

function entryText(entry: JournalEntry): string {
  return `${JSON.stringify(entry, null, 2)}\n`;
}
