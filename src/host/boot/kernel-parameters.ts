import { isUtf8 } from 'node:buffer';
import type { HostRoot } from '../root.ts';
import { shellText } from '../text.ts';
import type { ParameterRequest } from './kernel-words.ts';
import { type FileEdit, ManualStepError, requestText } from './line-edit.ts';
import { entries } from './loaders/entries.ts';
import { readEvidence } from './loaders/evidence.ts';
import { grub } from './loaders/grub.ts';
import { grubLegacy } from './loaders/grub-legacy.ts';
import { grubby } from './loaders/grubby.ts';
import type { Loader, ParameterEdits } from './loaders/loader.ts';
import { ostree } from './loaders/ostree.ts';
import { proxmox } from './loaders/proxmox.ts';
import { declarativeSystems, otherLoaders } from './loaders/refused.ts';
import { sdbootutil } from './loaders/suse.ts';
import { uki } from './loaders/uki.ts';

/** Asked in turn: those that know best what boots their hosts come first. */
const loaders: readonly Loader[] = [
  declarativeSystems,
  ostree,
  proxmox,
  sdbootutil,
  uki,
  grubLegacy,
  grubby,
  grub,
  entries,
  otherLoaders,
];

/**
 * What makes the kernel's command line say something from the next boot on.
 * @throws ManualStepError where that cannot be done safely: with what to do by hand.
 */
export function kernelParameterEdits(root: HostRoot, request: ParameterRequest): ParameterEdits {
  const evidence = readEvidence(root);
  for (const loader of loaders) {
    const edits = loader(root, evidence, request);
    if (edits === null) continue;
    for (const edit of edits.files) checkWhole(root, edit, request);
    return edits;
  }
  throw new Error('no boot loader was asked');
}

/** An edit is made to text: what the file has besides would be lost. */
function checkWhole(root: HostRoot, edit: FileEdit, request: ParameterRequest): void {
  const bytes = root.bytes(edit.path, 2 << 20);
  const text = Buffer.from(edit.before);
  if (bytes?.equals(text) && !text.includes(0)) return;
  const odd = bytes === null || isUtf8(bytes) ? 'changes while it is read, or is too long' : 'is not UTF-8';
  const reason = text.includes(0) ? 'has a NUL byte' : odd;
  const step = `put ${requestText(request)} into its kernel parameters`;
  throw new ManualStepError(`${edit.path} cannot be edited safely: it ${reason}`, step);
}

/** Is nothing left to do for the next boot? */
export function isConfigured(edits: ParameterEdits): boolean {
  return edits.files.length === 0 && edits.commands.length === 0;
}

/** What would be done, for people. */
export function editsText(edits: ParameterEdits): string {
  const files = edits.files.map(file => `edits ${file.path}`);
  const commands = edits.commands.map(command => `runs ${shellText(command.argv)}`);
  return [...files, ...commands].join(', ');
}
