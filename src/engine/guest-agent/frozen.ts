import * as z from 'zod';
import type { GuestAgent } from './guest-agent.ts';

/** How long a freeze may take: the guest syncs its file systems, and programs in it block on writes. */
const FREEZE_MS = 60_000;
const THAW_MS = 10_000;
const THAW_TRIES = 3;

/**
 * Freezes a guest's file systems while `action` runs, so that copies of its disks are consistent, and thaws them
 * whatever its outcome. @param warn receives why the thaw failed. @throws AgentError before anything has been done
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

/** A freeze that got no answer may have worked. */
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
