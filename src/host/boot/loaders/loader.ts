import type { HostRoot } from '../../root.ts';
import type { ParameterRequest } from '../kernel-words.ts';
import type { FileEdit } from '../line-edit.ts';
import type { BootEvidence } from './evidence.ts';

export type Argv = readonly [string, ...string[]];

/** A boot loader's program that applies edits, or makes them itself. */
export type LoaderCommand = {
  readonly argv: Argv;
  /** The command that undoes it once the files are restored; null to run it again. */
  readonly undo: Argv | null;
  /** Where its result can be read, and what it must contain. */
  readonly result:
    | { readonly kind: 'file'; readonly path: string; readonly has: readonly string[] }
    | { readonly kind: 'output'; readonly argv: Argv; readonly has: readonly string[] }
    | null;
  readonly reason: string;
};

/** What changes the kernel command line from the next boot on, with one boot loader. */
export type ParameterEdits = {
  /** The boot loader: `GRUB`, `systemd-boot`. */
  readonly loader: string;
  readonly request: ParameterRequest;
  /** No files and no commands: everything that the next boot reads already has the parameters. */
  readonly files: readonly FileEdit[];
  /** To run after the files are written. */
  readonly commands: readonly LoaderCommand[];
  /** Remarks for the user. */
  readonly notes: readonly string[];
};

/**
 * One way to boot.
 * @returns null if this host boots in another way
 * @throws ManualStepError if it boots this way, but its files cannot be edited safely
 */
export type Loader = (
  root: HostRoot,
  evidence: BootEvidence,
  request: ParameterRequest,
) => ParameterEdits | null;
