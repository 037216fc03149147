import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChangeLock } from '../host/plan/change-lock.ts';
import { type FileLock, LockHeldError, lockFile } from './file-lock.ts';
import { ensurePrivateFolder } from './paths.ts';

/** Long enough for a slow plan; a plan that hangs is abandoned by its own process before this. */
const WAIT_MS = 120_000;
const POLL_MS = 100;

/** Serializes changes of the host across processes. @param folder of the lock file, created if missing */
export function hostLock(folder: string, waitMs = WAIT_MS): ChangeLock {
  return async (change, onWait = () => {}) => {
    ensurePrivateFolder(folder);
    const lock = await takeLock(join(folder, 'host.lock'), waitMs, onWait);
    try {
      return await change();
    } finally {
      lock.release();
    }
  };
}

async function takeLock(path: string, waitMs: number, onWait: (holder: string) => void): Promise<FileLock> {
  for (let waited = 0; ; waited += POLL_MS) {
    try {
      return lockFile(path, 'the host is being changed');
    } catch (error) {
      if (!(error instanceof LockHeldError)) throw error;
      if (waited >= waitMs) throw new Error(`${error.message}; try again when that has ended`);
      if (waited === 0) onWait(error.message);
    }
    await sleep(POLL_MS);
  }
}
