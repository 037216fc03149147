import { constants } from 'node:os';
import { SystemError } from '../native/libc.ts';

const { errno: E } = constants;

/** The resource that a host has run out of, by errno, and the next step. */
export const SHORTAGE = new Map([
  [
    E.EAGAIN,
    'the limit on processes is reached: raise TasksMax= of the systemd unit, pids.max of the cgroup, RLIMIT_NPROC (ulimit -u) or ' +
      'kernel.pid_max, or end other VMs',
  ],
  [E.ENOMEM, 'the host has too little memory left: free some, or end other VMs'],
  [E.EMFILE, 'too many files are open: raise LimitNOFILE= of the systemd unit or RLIMIT_NOFILE (ulimit -n)'],
  [E.ENFILE, 'the host has too many files open: raise fs.file-max with sysctl'],
  [
    E.EFBIG,
    'memory counts as a file, and the limit on their size is reached: raise LimitFSIZE= of the systemd unit or RLIMIT_FSIZE (ulimit -f)',
  ],
  [E.EBADF, 'one of them is not open'],
]);

/** For an error of a start: one that names the host's exhausted resource, if that is the cause; else the same error. */
export function explainShortage(error: unknown): unknown {
  const { errno } = error as { errno?: unknown };
  if (typeof errno !== 'number') return error;
  const advice = SHORTAGE.get(Math.abs(errno));
  // An error with more than its call and errno is specific enough.
  const isRaw = !(error instanceof SystemError) || error.constructor === SystemError;
  return advice === undefined || !isRaw ? error : new Error(advice, { cause: error });
}
