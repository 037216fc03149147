import * as z from 'zod';
import type { GuestAgent } from './guest-agent.ts';

/** Programs in the guest run into the freeze: that long, not longer, while its file systems are synced. */
const FREEZE_MS = 60_000;
const THAW_MS = 10_000;
const THAW_TRIES = 3;

/**
 * Has a guest hold its file systems still while `action` runs, so that what is copied of its disks is whole; and go on, whatever comes of
 * it. @param warn why it could not be told to go on. @throws AgentError; then nothing has been done
 */
export async function whileFrozen<Result>(
  agent: GuestAgent,
  warn: (text: string) => void,
  action: () => Promise<Result>,
): Promise<Result> {
  try {
    await agent.request('guest-fsfreeze-freeze', { returns: z.int().min(0), timeoutMs: FREEZE_MS });
    return await action();
  } finally {
    await thaw(agent, warn);
  }
}

/** A freeze that was not answered may have worked. */
async function thaw(agent: GuestAgent, warn: (text: string) => void): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await agent.request('guest-fsfreeze-thaw', { returns: z.int().min(0), timeoutMs: THAW_MS });
      return;
    } catch (error) {
      if (tries < THAW_TRIES) continue;
      warn(`the file systems of the guest may still be frozen: ${(error as Error).message}`);
      return;
    }
  }
}
