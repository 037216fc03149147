import { isUtf8 } from 'node:buffer';
import type { HostRoot } from '../root.ts';
import { lossAtBoot } from '../use/mounts.ts';
import type { ParameterRequest } from './kernel-words.ts';
import { type FileEdit, ManualStepError, requestText } from './line-edit.ts';
import { entries } from './loaders/entries.ts';
import { readEvidence } from './loaders/evidence.ts';
import { grub } from './loaders/grub.ts';
import { grubLegacy } from './loaders/grub-legacy.ts';
import { grubby } from './loaders/grubby.ts';
import { kernelstub } from './loaders/kernelstub.ts';
import type { Loader, ParameterEdits } from './loaders/loader.ts';
import { managedSystems } from './loaders/managed.ts';
import { ostree } from './loaders/ostree.ts';
import { proxmox } from './loaders/proxmox.ts';
import { generatedEntries, otherLoaders } from './loaders/refused.ts';
import { sdbootutil } from './loaders/suse.ts';
import { uki } from './loaders/uki.ts';

/** Tried in this order, most specific first. */
const loaders: readonly Loader[] = [
  managedSystems,
  ostree,
  proxmox,
  kernelstub,
  generatedEntries,
  sdbootutil,
  uki,
  grubLegacy,
  grubby,
  grub,
  entries,
  otherLoaders,
];

/**
 * The edits and commands that change the kernel command line from the next boot on.
 * @throws ManualStepError if that cannot be done safely, with the manual steps
 */
export function kernelParameterEdits(root: HostRoot, request: ParameterRequest): ParameterEdits {
  const evidence = readEvidence(root);
  for (const loader of loaders) {
    const edits = loader(root, evidence, request);
    if (edits === null) continue;
    for (const edit of edits.files) {
      checkWhole(root, edit, request);
      checkKept(root, edit, request);
    }
    return edits;
  }
  throw new Error('no boot loader matched');
}

/** Edits are made to text: anything in the file that is not UTF-8 would be lost. */
function checkWhole(root: HostRoot, edit: FileEdit, request: ParameterRequest): void {
  const bytes = root.bytes(edit.path, 2 << 20);
  const text = Buffer.from(edit.before);
  if (bytes?.equals(text) && !text.includes(0)) return;
  const odd = bytes === null || isUtf8(bytes) ? 'changed while it was read, or is too long' : 'is not UTF-8';
  const reason = text.includes(0) ? 'contains a NUL byte' : odd;
  const step = `add ${requestText(request)} to its kernel parameters`;
  throw new ManualStepError(`${edit.path} cannot be edited safely: it ${reason}`, step);
}

/** An edit to a file that cannot be written, or that a reboot discards, would only appear to work. */
function checkKept(root: HostRoot, { path }: FileEdit, request: ParameterRequest): void {
  const loss = lossAtBoot(root, path);
  if (loss === null) return;
  const step = `add ${requestText(request)} to the kernel command line in the way that this system is configured, or make ${path} writable first`;
  throw new ManualStepError(`${path} cannot be changed for the next boot: ${loss}`, step);
}

/** Whether nothing remains to be done for the next boot. */
export function isConfigured(edits: ParameterEdits): boolean {
  return edits.files.length === 0 && edits.commands.length === 0;
}
