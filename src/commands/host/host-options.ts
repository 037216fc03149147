import fs from 'node:fs';
import type { Command } from 'commander';
import type { HostRoot } from '../../host/root.ts';
import { printData, printLines } from '../../text/output.ts';
import { UsageError } from '../../text/usage-error.ts';

/** What every command about the host takes. */
export type HostOptions = { readonly json?: boolean; readonly hostRoot?: string };

export function withHostOptions(command: Command): Command {
  return command
    .option('--json', 'as JSON (docs/host.md has the schema)')
    .option('--host-root <dir>', 'a host recorded with vring host record, in place of this one');
}

export async function openHost(options: HostOptions): Promise<HostRoot> {
  const { hostRoot = '/' } = options;
  const isDirectory = fs.statSync(hostRoot, { throwIfNoEntry: false })?.isDirectory() === true;
  if (!isDirectory) {
    throw new UsageError(`--host-root ${hostRoot}: expected a directory that vring host record wrote`);
  }
  const { HostRoot } = await import('../../host/root.ts');
  return new HostRoot(hostRoot);
}

const address = /^([0-9a-f]{4,8}:)?[0-9a-f]{1,2}:[01]?[0-9a-f]\.[0-7]$/i;

/** The full address that an argument means. @throws a UsageError for what is no address at all. */
export async function addressArgument(text: string, known: readonly string[]): Promise<string> {
  if (!address.test(text.trim())) {
    throw new UsageError(
      `${text} is no PCI address: write it as 0000:02:00.0, or 02:00.0 without the domain`,
    );
  }
  const { resolveAddress } = await import('../../host/pci/address.ts');
  return resolveAddress(text, known);
}

/** Cells of the terminal; what goes to a file or a pipe is not cut. */
export function outputWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
}

/** JSON of the stable schema, or lines for people. */
export function print(options: HostOptions, json: object, lines: () => readonly string[]): void {
  if (options.json) printJson(json);
  else printLines(...lines());
}

/** JSON of the stable schema. */
export function printJson(json: object): void {
  printData({ version: 1, ...json });
}
