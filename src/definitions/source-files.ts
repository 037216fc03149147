import fs from 'node:fs';
import type { Definition } from './schema.ts';
import { wantedDevices } from './wanted-devices.ts';

/** A file of the host that a VM is made of, and the key that names it. */
export type SourceFile = { readonly key: string; readonly file: string };

const POLL_MS = 2000;

/** The kernel and the disks of a definition. */
export function sourceFiles(definition: Definition): SourceFile[] {
  const { kernel, initrd } = definition.machine;
  return [
    ...(kernel === undefined ? [] : [{ key: 'machine.kernel', file: kernel }]),
    ...(initrd === undefined ? [] : [{ key: 'machine.initrd', file: initrd }]),
    ...wantedDevices(definition).flatMap(({ key, entry: { path } }) =>
      typeof path === 'string' ? [{ key: key.replace(/\.bus$/, '.file'), file: path }] : [],
    ),
  ];
}

/**
 * Which files exist. Before `watch` each question looks at the file system; from then on it is looked at every two seconds in
 * the background, so that a network file system that does not answer blocks nobody who asks.
 */
export class FilePresence {
  #seen: ReadonlyMap<string, boolean> = new Map();
  #asked = new Set<string>();
  #watching = false;

  /** Only files that are asked for from now on matter. */
  begin(): void {
    this.#asked = new Set();
  }

  /** False when it certainly does not exist. */
  has(file: string): boolean {
    this.#asked.add(file);
    if (this.#watching) return this.#seen.get(file) ?? true;
    const exists = !isAbsence(codeOfStat(file));
    this.#seen = new Map(this.#seen).set(file, exists);
    return exists;
  }

  /** Calls `changed` when a file that was asked for has come or gone. @returns what ends that */
  watch(changed: () => void, everyMs = POLL_MS): () => void {
    let timer: NodeJS.Timeout | undefined;
    let ended = false;
    const look = async () => {
      const differs = await this.#look();
      if (ended) return;
      if (differs) changed();
      timer = setTimeout(look, everyMs).unref();
    };
    this.#watching = true;
    timer = setTimeout(look, 0).unref();
    return () => {
      ended = true;
      this.#watching = false;
      clearTimeout(timer);
    };
  }

  /** @returns whether an answer has changed */
  async #look(): Promise<boolean> {
    const now = new Map<string, boolean>();
    let differs = false;
    for (const file of this.#asked) {
      const exists = await fs.promises.stat(file).then(
        () => true,
        error => !isAbsence((error as NodeJS.ErrnoException).code),
      );
      if (exists !== (this.#seen.get(file) ?? true)) differs = true;
      now.set(file, exists);
    }
    this.#seen = now;
    return differs;
  }
}

function codeOfStat(file: string): string | undefined {
  try {
    fs.statSync(file);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

/** Of a file that cannot be looked at for another reason, nothing is known. */
function isAbsence(code: string | undefined): boolean {
  return code === 'ENOENT' || code === 'ENOTDIR';
}
