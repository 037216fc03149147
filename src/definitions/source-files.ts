import fs, { type Stats } from 'node:fs';
import type { Definition } from './schema.ts';
import { type SeenDisk, seeDisk, seeDiskLater } from './seen-disk.ts';
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

/** A file as it was last looked at. */
type Seen = {
  readonly exists: boolean;
  /** Changes with the file. */
  readonly stamp: string;
  readonly disk: SeenDisk | null;
};

const NOT_SEEN: Seen = { exists: true, stamp: '', disk: null };
const ABSENT: Seen = { exists: false, stamp: '', disk: null };

/**
 * Which files exist, and the disks in them. Before `watch`, each query looks at the file system; after it, the file system is polled every two
 * seconds in the background, so that a network file system that hangs blocks no query.
 */
export class FilePresence {
  #seen: ReadonlyMap<string, Seen> = new Map();
  #asked = new Set<string>();
  #watching = false;

  /** Forgets the files queried so far: only those queried from now on are watched. */
  begin(): void {
    this.#asked = new Set();
  }

  /** False if the file is known not to exist. */
  has(file: string): boolean {
    this.#asked.add(file);
    if (this.#watching) return (this.#seen.get(file) ?? NOT_SEEN).exists;
    const seen = seenNow(file, this.#seen.get(file));
    this.#seen = new Map(this.#seen).set(file, seen);
    return seen.exists;
  }

  /** The disk in a file that was queried; null if there is none, or none could be seen. */
  disk(file: string): SeenDisk | null {
    return this.#seen.get(file)?.disk ?? null;
  }

  /** Calls `changed` when a queried file appears or disappears, or its disk has another size. @returns a function that stops watching */
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
    const now = new Map<string, Seen>();
    let differs = false;
    for (const file of this.#asked) {
      const before = this.#seen.get(file) ?? NOT_SEEN;
      const seen = await seenLater(file, before);
      if (seen.exists !== before.exists || !isSameDisk(seen.disk, before.disk)) differs = true;
      now.set(file, seen);
    }
    this.#seen = now;
    return differs;
  }
}

function seenNow(file: string, before = NOT_SEEN): Seen {
  try {
    const stats = fs.statSync(file);
    const stamp = stampOf(stats);
    return stamp === before.stamp ? before : { exists: true, stamp, disk: seeDisk(file, stats) };
  } catch (error) {
    return isAbsence(error) ? ABSENT : NOT_SEEN;
  }
}

async function seenLater(file: string, before: Seen): Promise<Seen> {
  try {
    const stats = await fs.promises.stat(file);
    const stamp = stampOf(stats);
    return stamp === before.stamp ? before : { exists: true, stamp, disk: await seeDiskLater(file, stats) };
  } catch (error) {
    return isAbsence(error) ? ABSENT : NOT_SEEN;
  }
}

/** The size of a block device may change without any of these. */
function stampOf(stats: Stats): string {
  const { dev, ino, size, mtimeMs, ctimeMs } = stats;
  return stats.isBlockDevice() ? `at ${Date.now()}` : [dev, ino, size, mtimeMs, ctimeMs].join(' ');
}

function isSameDisk(a: SeenDisk | null, b: SeenDisk | null): boolean {
  return a === b || (a !== null && b !== null && a.bytes === b.bytes && a.head.equals(b.head));
}

/** A file that cannot be checked for any other reason may well exist. */
function isAbsence(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
