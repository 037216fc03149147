import { closeSync, openSync, readFileSync, rmdirSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Layer } from './layer.ts';

const MiB = 2 ** 20;

/** Limits of one VM (Documentation/admin-guide/cgroup-v2.rst). */
export type CgroupLimits = {
  /** Bytes, `memory.max`: the process is killed if it needs more. */
  readonly memoryMax?: number;
  /** 1 to 10000 (default 100), `cpu.weight`: the share of a busy host's CPUs, relative to other VMs. */
  readonly cpuWeight?: number;
  /** Threads, `pids.max`. */
  readonly pidsMax?: number;
};

const FILES = { memoryMax: 'memory.max', cpuWeight: 'cpu.weight', pidsMax: 'pids.max' } as const;

/**
 * A `memoryMax` for a VM with this much RAM: the needs of the guest, of page tables of host and KVM, of the machine's
 * own code and of its devices' buffers, with a generous margin. It stops unbounded growth.
 */
export function memoryLimitFor(ram: number): number {
  return ram + Math.ceil(ram / 128) + 512 * MiB;
}

/** The cgroup of one VM. */
export class Cgroup {
  readonly path: string;
  /** The folder, for `spawnConfined`. */
  readonly fd: number;
  #missing: readonly string[] = [];

  constructor(path: string) {
    this.path = path;
    this.fd = openSync(path, 'r');
  }

  /** Sets those limits whose controllers are available; `layer` names the others. */
  limit(limits: CgroupLimits): void {
    this.#missing = Object.entries(limits).flatMap(([name, limit]) => {
      const file = FILES[name as keyof CgroupLimits];
      return limit === undefined || setLimit(join(this.path, file), limit) ? [] : [file];
    });
  }

  /** @param started the layer as `spawnConfined` reports it. @returns it with the limits that could not be set */
  layer(started: Layer): Layer {
    if (started.state !== 'on' || this.#missing.length === 0) return started;
    const missing = this.#missing.join(', ');
    const reason = `without ${missing}: their controllers are not in cgroup v2 on this host, or were not delegated to vring`;
    return { ...started, reason };
  }

  /**
   * Why the kernel killed a process here for lack of memory: the limit, or the host had none left; null if it did not.
   */
  outOfMemory(): 'limit' | 'host' | null {
    let events: string;
    try {
      events = readFileSync(join(this.path, 'memory.events'), 'utf8');
    } catch {
      return null;
    }
    const count = (event: string) => Number(new RegExp(`^${event} (\\d+)$`, 'm').exec(events)?.[1] ?? 0);
    if (count('oom_kill') === 0) return null;
    return count('oom') > 0 ? 'limit' : 'host';
  }

  /**
   * Kills any remaining processes, waits for their end, and removes the cgroup. If that fails, `CgroupParent.prepare`
   * of a later manager does it.
   */
  async remove(): Promise<void> {
    closeSync(this.fd);
    // Absent before Linux 5.14: the caller has then ended the process.
    setLimit(join(this.path, 'cgroup.kill'), 1);
    try {
      await this.#emptied();
      rmdirSync(this.path);
    } catch {}
  }

  #emptied(): Promise<void> {
    const events = join(this.path, 'cgroup.events');
    const isEmpty = () => /^populated 0$/m.test(readFileSync(events, 'utf8'));
    return new Promise((resolve, reject) => {
      const watcher = watch(events);
      const end = (settle: () => void) => {
        watcher.close();
        settle();
      };
      const check = () => {
        try {
          if (isEmpty()) end(resolve);
        } catch (error) {
          end(() => reject(error));
        }
      };
      watcher.on('change', check);
      watcher.on('error', error => end(() => reject(error)));
      check();
    });
  }
}

/** @returns whether it is set: without the controller, there is no such file */
function setLimit(path: string, limit: number): boolean {
  try {
    writeFileSync(path, String(limit), { flag: 'r+' });
    return true;
  } catch {
    return false;
  }
}
