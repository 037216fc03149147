import { join } from 'node:path';
import * as z from 'zod';
import { stateFolder } from '../files/state-folder.ts';
import { currentBootId, startTicksOf } from './process-identity.ts';
import type { HostRoot } from './root.ts';

/**
 * A write to sysfs that the kernel has not completed. It holds the device's lock, and a read of
 * `driver_override` or `sriov_numvfs` of that device would hang with it.
 */
export type PendingWrite = {
  /** The process that is stuck in it, and its start time in clock ticks since boot. */
  readonly pid: number;
  readonly startTicks: number;
  readonly bootId: string;
  /** ISO 8601. */
  readonly since: string;
  /** Address of the function. */
  readonly address: string;
  readonly path: string;
  readonly value: string;
};

const schema = z.array(
  z.object({
    pid: z.number().int().positive(),
    startTicks: z.number(),
    bootId: z.string(),
    since: z.string(),
    address: z.string(),
    path: z.string(),
    value: z.string(),
  }),
);

/** Updated before each such write, and read by all vring processes. */
export function pendingWritesPath(): string {
  return join(stateFolder(), 'pending-writes.json');
}

/** The writes whose process still exists. */
export function readPendingWrites(root: HostRoot): PendingWrite[] {
  const writes = parse(textOf(root));
  if (writes.length === 0) return [];
  const bootId = currentBootId();
  return writes.filter(write => write.bootId === bootId && startTicksOf(write.pid) === write.startTicks);
}

/** Functions whose device lock a pending write may hold. */
export function pendingAddresses(root: HostRoot): ReadonlySet<string> {
  return new Set(readPendingWrites(root).map(write => write.address));
}

export function formatPendingWrites(writes: readonly PendingWrite[]): string {
  return `${JSON.stringify(writes, null, 2)}\n`;
}

/** `process 4711 has been writing 0000:01:00.0 to /sys/... since 2026-01-01 12:00:00 UTC`. */
export function pendingText({ pid, value, path, since }: PendingWrite): string {
  return `process ${pid} has been writing ${value.trim() || 'an empty line'} to ${path} since ${since.slice(0, 19).replace('T', ' ')} UTC`;
}

function textOf(root: HostRoot): string | null {
  try {
    return root.text(pendingWritesPath());
  } catch {
    // Only root can read it, and only root writes to devices.
    return null;
  }
}

function parse(text: string | null): PendingWrite[] {
  if (text === null) return [];
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return [];
  }
}
