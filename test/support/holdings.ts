import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What a VM takes from its process and must return. */
export type Holdings = {
  readonly threads: readonly string[];
  readonly fds: readonly string[];
  readonly mappings: readonly string[];
};

/** Threads, fds and mappings of this process that a VM may have made, by name. */
export function holdings(): Holdings {
  const threads = readdirSync('/proc/self/task').flatMap(tid => nameOf(tid) ?? []);
  const fds = readdirSync('/proc/self/fd').flatMap(fd => targetOf(fd) ?? []);
  // Not those of io_uring: Node's own threads have them too, until some time after they have ended.
  const mappings = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .flatMap(line => /(?:\/memfd:|anon_inode:.*kvm).*/.exec(line)?.[0] ?? []);
  return {
    threads: threads.filter(name => name.startsWith('vring-')).sort(),
    fds: fds.filter(target => /kvm|eventfd|memfd|io_uring|eventpoll|\/(tmp|dev)\//.test(target)).sort(),
    mappings: mappings.sort(),
  };
}

function nameOf(tid: string): string | null {
  try {
    return readFileSync(`/proc/self/task/${tid}/comm`, 'utf8').trim();
  } catch {
    return null; // it has just ended
  }
}

function targetOf(fd: string): string | null {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return null; // the fd that lists them
  }
}
