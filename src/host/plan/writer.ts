import type { CommandResult } from '../recorded-facts.ts';
import type { HostRoot } from '../root.ts';
import type { TimeLimit } from './time-limit.ts';

/**
 * All operations by which a plan changes a host. Errors carry the kernel's `code`; a HangingError means that the kernel
 * does not complete one.
 */
export type HostWriter = {
  readonly root: HostRoot;
  /** Time limit of a write to a device, in seconds; null for the plan's. */
  readonly writeSeconds: number | null;
  /** One write(2) of the whole value to an attribute that exists. */
  writeAttribute(path: string, value: string, limit: TimeLimit): Promise<void>;
  replaceFile(
    path: string,
    content: string,
    mode: number,
    backup: string | null,
    limit: TimeLimit,
  ): Promise<void>;
  /** @param directory whether to remove the first one's directory, too, if it is then empty */
  removeFiles(paths: readonly string[], directory: boolean, limit: TimeLimit): Promise<void>;
  /** Null if the command is not installed. */
  run(argv: readonly [string, ...string[]], limit: TimeLimit): Promise<CommandResult | null>;
  sleep(milliseconds: number): Promise<void>;
  /** Call when done writing. */
  close(): void;
};
