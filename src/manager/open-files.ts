import { prlimit, RLIMIT_NOFILE } from '../vmm/native/libc.ts';

/** What a manager without VMs and clients has open is half of that. */
const LEAST = 64n;

/** Refuses to start a manager that could neither open definitions nor answer. @throws an error for the user */
export function requireOpenFiles(limit = prlimit(0, RLIMIT_NOFILE)[0]): void {
  if (limit < LEAST)
    throw new Error(
      `the limit on open files is ${limit}, and a manager needs at least ${LEAST}: raise LimitNOFILE= of the systemd unit or RLIMIT_NOFILE (ulimit -n)`,
    );
}

let last = 0;

/** Bytes of memory in use; as last known, while too many files are open to ask. */
export function residentBytes(read: () => number = process.memoryUsage.rss): number {
  try {
    last = read();
  } catch {}
  return last;
}
