import fs from 'node:fs';
import type { Definition } from './schema.ts';
import { wantedDevices } from './wanted-devices.ts';

/** A host file that a VM needs, and the key that names it. */
export type SourceFile = { readonly key: string; readonly file: string };

const POLL_MS = 2000;

/** The firmware, the kernel, the device modules and the disks of a definition. */
export function sourceFiles(definition: Definition): SourceFile[] {
  const { kernel, initrd, 'firmware-file': firmware } = definition.machine;
  return [
    ...(kernel === undefined ? [] : [{ key: 'machine.kernel', file: kernel }]),
    ...(initrd === undefined ? [] : [{ key: 'machine.initrd', file: initrd }]),
    ...(firmware === undefined ? [] : [{ key: 'machine.firmware-file', file: firmware }]),
    ...definition.deviceModules.map((file, index) => ({ key: `deviceModules[${index}]`, file })),
    ...wantedDevices(definition).flatMap(({ key, entry: { path } }) =>
      typeof path === 'string' ? [{ key: key.replace(/\.bus$/, '.file'), file: path }] : [],
    ),
  ];
}

/**
 * Which files exist. Before `watch`, each query looks at the file system; after it, the file system is polled every two
 * seconds in the background, so that a network file system that hangs blocks no query.
 */
export class FilePresence {
  #seen: ReadonlyMap<string, boolean> = new Map();
  #asked = new Set<string>();
  #watching = false;

  /** Forgets the files queried so far: only those queried from now on are watched. */
  begin(): void {
    this.#asked = new Set();
  }

  /** False if the file is known not to exist. */
  has(file: string): boolean {
    this.#asked.add(file);
    if (this.#watching) return this.#seen.get(file) ?? true;
    const exists = !isAbsence(codeOfStat(file));
    this.#seen = new Map(this.#seen).set(file, exists);
    return exists;
  }

  /** Calls `changed` when a queried file appears or disappears. @returns a function that stops watching */
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

  /** @returns whether any answer changed */
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

/** A file that cannot be checked for any other reason may well exist. */
function isAbsence(code: string | undefined): boolean {
  return code === 'ENOENT' || code === 'ENOTDIR';
}
