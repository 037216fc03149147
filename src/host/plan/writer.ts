import fs from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeFiles, replaceFile } from '../../files/replace-file.ts';
import type { CommandResult } from '../facts.ts';
import { runCommand } from '../live-facts.ts';
import type { HostRoot } from '../root.ts';

/** All ways in which a plan changes a host. Errors carry the kernel's `code`. */
export type HostWriter = {
  readonly root: HostRoot;
  /** One write(2) of the whole value to an attribute that exists. */
  writeAttribute(path: string, value: string): Promise<void>;
  replaceFile(path: string, content: string, mode: number, backup: string | null): Promise<void>;
  /** @param directory the directory of the first one too, if it is empty then */
  removeFiles(paths: readonly string[], directory: boolean): Promise<void>;
  /** Null when the command is not installed. */
  run(argv: readonly [string, ...string[]], seconds: number): Promise<CommandResult | null>;
  sleep(milliseconds: number): Promise<void>;
};

/** Writes to the running system. @throws for a recorded one, and for other users than root. */
export function systemWriter(root: HostRoot): HostWriter {
  if (!root.live) throw new Error(`${root.path} is a recording of a host: it can be read, not changed`);
  if (process.geteuid?.() !== 0) {
    throw new Error(
      'only root may change the host: run vring as root; --dry-run shows the plan to everybody',
    );
  }
  return {
    root,
    writeAttribute,
    replaceFile: async (path, content, mode, backup) =>
      replaceFile(path, content, { mode, backup: backup === null ? null : { path: backup, replace: false } }),
    removeFiles: async (paths, directory) => removeFiles(paths, directory),
    run: (argv, seconds) => runCommand(argv, seconds * 1000),
    sleep: milliseconds => sleep(milliseconds),
  };
}

/**
 * Not on this thread: enabling VFs or unbinding a driver may take seconds in the kernel. Without O_CREAT, so that an
 * attribute that does not exist is reported as that.
 */
async function writeAttribute(path: string, value: string): Promise<void> {
  const handle = await fs.open(path, fs.constants.O_WRONLY);
  try {
    await handle.write(value);
  } finally {
    await handle.close();
  }
}
