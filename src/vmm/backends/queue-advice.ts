import { codeText } from '../../text/errno.ts';

/** Why a queue's thread could not be started, and the next step. */
export function queueAdvice(code: string): string {
  switch (code) {
    case 'EPERM':
    case 'ENOSYS':
      return 'this host does not allow io_uring: enable it with `sysctl kernel.io_uring_disabled=0` (Linux 5.15 or later)';
    case 'ENOMEM':
      return 'no memory for an io_uring: raise the limit of locked memory (`ulimit -l`), or free some memory';
    case 'EINPROGRESS':
      return 'a request from before the last reset is still in progress on the host: reset the device again when the disk answers';
    default:
      return `the thread for a disk queue cannot be started: ${codeText(code)}`;
  }
}
