import { Socket } from 'node:net';
import { constants } from 'node:os';
import { checked, nativeCalls } from '../native/native-library.ts';

/** How a process ended: with an exit status or by a signal; both null if it was not this process's child. */
export type ExitStatus = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
};

/** `si_code` of asm-generic/siginfo.h. */
const CLD_EXITED = 1;
const CLD_KILLED = 2;
const CLD_DUMPED = 3;

const signalNames = new Map<number, NodeJS.Signals>();
for (const [name, value] of Object.entries(constants.signals)) {
  // The first name of a number wins: SIGABRT over SIGIOT.
  if (!signalNames.has(value)) signalNames.set(value, name as NodeJS.Signals);
}

/**
 * Resolves once the process of a pidfd has ended; a native thread waits for it, not V8 or libuv's pool. Keeps this
 * process running until then unless `ref` is false. The pidfd may be closed in the meantime.
 * @throws SystemError
 */
export function watchExit(pidfd: number, { ref = true } = {}): Promise<ExitStatus> {
  const fd = checked('vring_watch_exit', nativeCalls().vring_watch_exit(pidfd));
  const pipe = new Socket({ fd, readable: true, writable: false });
  if (!ref) pipe.unref();
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    pipe.on('data', chunk => chunks.push(chunk));
    pipe.on('error', reject);
    pipe.on('close', () => resolve(exitStatus(Buffer.concat(chunks))));
  });
}

function exitStatus(bytes: Buffer): ExitStatus {
  if (bytes.length < 8) return { code: null, signal: null };
  const [how, status] = [bytes.readInt32LE(0), bytes.readInt32LE(4)];
  if (how === CLD_EXITED) return { code: status, signal: null };
  const signal = how === CLD_KILLED || how === CLD_DUMPED ? (signalNames.get(status) ?? null) : null;
  return { code: null, signal };
}

/**
 * Sends a signal to the process of a pidfd, never to another one that has reused its number.
 * @returns false if it has ended
 */
export function signalProcess(pidfd: number, signal: NodeJS.Signals): boolean {
  const result = nativeCalls().vring_pidfd_signal(pidfd, constants.signals[signal]);
  if (-result === constants.errno.ESRCH) return false;
  checked('vring_pidfd_signal', result);
  return true;
}
