import type { HostRoot } from '../../root.ts';
import type { ParameterRequest } from '../kernel-words.ts';
import type { FileEdit } from '../line-edit.ts';
import type { BootEvidence } from './evidence.ts';

export type Argv = readonly [string, ...string[]];

/** A program of the boot loader's that takes edits over, or makes them itself. */
export type LoaderCommand = {
  readonly argv: Argv;
  /** What takes it back, once the files are as they were; null: it is run again. */
  readonly undo: Argv | null;
  /** Where its result can be read, and what must be there then. */
  readonly result:
    | { readonly kind: 'file'; readonly path: string; readonly has: readonly string[] }
    | { readonly kind: 'output'; readonly argv: Argv; readonly has: readonly string[] }
    | null;
  readonly reason: string;
};

/** What puts parameters on the kernel's command line from the next boot on, by the means of one boot loader. */
export type ParameterEdits = {
  /** `GRUB`, `systemd-boot`: what boots this host. */
  readonly loader: string;
  readonly request: ParameterRequest;
  /** No files and no commands: everything that is read at the next boot has the parameters already. */
  readonly files: readonly FileEdit[];
  /** To be run once the files are written. */
  readonly commands: readonly LoaderCommand[];
  /** What the reader should know. */
  readonly notes: readonly string[];
};

/**
 * One way of booting.
 * @returns null when this host boots otherwise
 * @throws ManualStepError when it boots so, and its files cannot be edited safely
 */
export type Loader = (
  root: HostRoot,
  evidence: BootEvidence,
  request: ParameterRequest,
) => ParameterEdits | null;
