import type { CommandResult } from '../recorded-facts.ts';
import type { HostRoot } from '../root.ts';
import type { TimeLimit } from './time-limit.ts';

/**
 * All ways in which a plan changes a host. Errors carry the kernel's `code`; a HangingError says that the kernel does not
 * answer.
 */
export type HostWriter = {
  readonly root: HostRoot;
  /** How long a write to a device may take, in seconds; null: as the plan says. */
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
  /** @param directory the directory of the first one too, if it is empty then */
  removeFiles(paths: readonly string[], directory: boolean, limit: TimeLimit): Promise<void>;
  /** Null when the command is not installed. */
  run(argv: readonly [string, ...string[]], limit: TimeLimit): Promise<CommandResult | null>;
  sleep(milliseconds: number): Promise<void>;
  /** To be called when nothing more is to be written. */
  close(): void;
};
