import { setImmediate as turn } from 'node:timers/promises';
import { HostReadError, type HostRoot } from '../root.ts';

/** A file that a process has open, or mapped into its memory. */
export type OpenFile = {
  /** Its path in /proc; in a container this may differ from the host's path. */
  readonly target: string;
  /** Its entry in /proc/PID/fd; null for a mapping. */
  readonly link: string | null;
  /** `major:minor`, if requested and if the path is that of a device file. */
  readonly number?: string;
};

/** What processes had open at one time. */
export type OpenFiles = {
  readonly root: HostRoot;
  /** `files` is null if this user may not read them: without root, those of other users. */
  readonly processes: readonly { readonly pid: string; readonly files: readonly OpenFile[] | null }[];
};

export type OpenFilesOptions = {
  /** Also read device numbers, and memory mappings, which outlive a descriptor, to find users of device files. */
  readonly devices?: boolean;
};

/**
 * Searches /proc for what processes have open, a few at a time: hosts have thousands of processes with hundreds of
 * files, and a manager must answer its clients in between.
 */
export async function readOpenFiles(
  root: HostRoot,
  { devices = false }: OpenFilesOptions = {},
): Promise<OpenFiles> {
  const reader = new PatientReader(root);
  const processes: { pid: string; files: OpenFile[] | null }[] = [];
  for (const pid of root.list('/proc') ?? []) {
    if (/^\d+$/.test(pid)) processes.push({ pid, files: await reader.filesOf(pid, devices) });
  }
  return { root, processes };
}

/** How much is read at a time. A read of a short file takes about 10 µs, and so does each KiB of a list of mappings. */
const READS_PER_TURN = 400;
const BYTES_PER_READ = 1024;
const MAPS_LIMIT = 16 << 20;

class PatientReader {
  readonly #root: HostRoot;
  #reads = 0;

  constructor(root: HostRoot) {
    this.#root = root;
  }

  async filesOf(pid: string, devices: boolean): Promise<OpenFile[] | null> {
    const directory = `/proc/${pid}/fd`;
    const files: OpenFile[] = [];
    try {
      for (const fd of this.#root.list(directory) ?? []) {
        const file = this.#file(`${directory}/${fd}`, devices);
        if (file !== null) files.push(file);
        await this.#count(1);
      }
      if (devices) files.push(...(await this.#mapped(pid)));
      return files;
    } catch (error) {
      // ESRCH: it has just exited.
      return error instanceof HostReadError && error.code === 'ESRCH' ? [] : null;
    } finally {
      await this.#count(1);
    }
  }

  #file(link: string, devices: boolean): OpenFile | null {
    const target = this.#root.link(link);
    if (target === null) return null;
    // Only likely files are examined: stat(2) may hang on a dead network file system.
    const isLikely = devices && (target.startsWith('/dev/') || /^\/( \(deleted\))?$/.test(target));
    const number = isLikely ? this.#root.deviceNumber(link) : null;
    return number === null ? { target, link } : { target, link, number };
  }

  /**
   * Reading mappings takes the process's mmap lock, which a process in uninterruptible sleep may hold forever: for
   * those only descriptors are searched.
   */
  async #mapped(pid: string): Promise<OpenFile[]> {
    if (isUninterruptible(this.#root, pid)) return [];
    const maps = this.#root.text(`/proc/${pid}/maps`, MAPS_LIMIT) ?? '';
    await this.#count(2 + maps.length / BYTES_PER_READ);
    const targets = new Set(
      [...maps.matchAll(/^\S+ \S+ \S+ \S+ [1-9]\d* +(\/.*)$/gm)].map(([, path]) => path!),
    );
    return [...targets].map(target => ({ target, link: null }));
  }

  async #count(reads: number): Promise<void> {
    this.#reads += reads;
    if (this.#reads < READS_PER_TURN) return;
    this.#reads = 0;
    await turn();
  }
}

export function isUninterruptible(root: HostRoot, pid: string): boolean {
  return /^\d+ \(.*\) (\S)/s.exec(root.text(`/proc/${pid}/stat`) ?? '')?.[1] === 'D';
}
