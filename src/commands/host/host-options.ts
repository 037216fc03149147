import fs from 'node:fs';
import type { Command } from 'commander';
import type { HostRoot } from '../../host/root.ts';
import { printData, printLines } from '../../text/output.ts';
import { UsageError } from '../../text/usage-error.ts';

/** Options of every command about the host. */
export type HostOptions = { readonly json?: boolean; readonly hostRoot?: string };

export function withHostOptions(command: Command): Command {
  return command
    .option('--json', 'print JSON (schema: docs/host.md)')
    .option('--host-root <dir>', 'use a host recorded with vring host record instead of this one');
}

export async function openHost(options: HostOptions): Promise<HostRoot> {
  const { hostRoot = '/' } = options;
  if (!isDirectory(hostRoot)) {
    throw new UsageError(`--host-root ${hostRoot}: expected a directory that vring host record wrote`);
  }
  const { HostRoot } = await import('../../host/root.ts');
  return new HostRoot(hostRoot);
}

/** False also for a link loop, or a path that this user may not search. */
function isDirectory(path: string): boolean {
  try {
    return fs.statSync(path).isDirectory();
  } catch {
    return false;
  }
}

const address = /^([0-9a-f]{4,8}:)?[0-9a-f]{1,2}:[01]?[0-9a-f]\.[0-7]$/i;

/** The full address for an argument. @throws UsageError if it is not an address */
export async function addressArgument(text: string, known: readonly string[]): Promise<string> {
  if (!address.test(text.trim())) {
    throw new UsageError(`${text} is not a PCI address: expected a form like 0000:02:00.0 or 02:00.0`);
  }
  const { resolveAddress } = await import('../../host/pci/address.ts');
  return resolveAddress(text, known);
}

/** The width of the terminal in cells; output to a file or a pipe is not truncated. */
export function outputWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
}

/** Prints JSON in the stable schema, or lines of text. */
export function print(options: HostOptions, json: object, lines: () => readonly string[]): void {
  if (options.json) printJson(json);
  else printLines(...lines());
}

/** Prints JSON in the stable schema. */
export function printJson(json: object): void {
  printData({ version: 1, ...json });
}
