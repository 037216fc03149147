import { findProgram } from '../../distribution.ts';
import { kernelParameters } from '../../kernel-cmdline.ts';
import type { HostRoot } from '../../root.ts';
import { editedWords, type ParameterRequest, wordEdits } from '../kernel-words.ts';
import { isPlainWord, ManualStepError, requestText } from '../line-edit.ts';
import { type BootEntry, bootEntries, entryWords } from './entries.ts';
import type { BootEvidence } from './evidence.ts';
import { readable } from './grub-config.ts';
import type { Argv, LoaderCommand, ParameterEdits } from './loader.ts';

const configuration = '/etc/kernelstub/configuration';

/** Pop!_OS: kernelstub writes the entries of systemd-boot from its own list of parameters, at each kernel update. */
export function kernelstub(
  root: HostRoot,
  evidence: BootEvidence,
  request: ParameterRequest,
): ParameterEdits | null {
  const program = findProgram(root, 'kernelstub');
  const other = evidence.booted === 'grub' || evidence.booted === 'other';
  if (program === null || other || !root.exists(configuration)) return null;
  const current = currentEntry(root);
  const words = current === null ? kernelParameters(root) : entryWords(current);
  const edits = wordEdits(words, request);
  const remove = [...edits.changes.keys()].map(index => words[index]!);
  const add = editedWords(words, edits).filter(word => !words.includes(word));
  if (![...remove, ...add].every(isPlainWord)) {
    throw new ManualStepError(
      `the parameters ${remove.join(' ')} are not safe to pass to kernelstub`,
      `change kernel_options in ${configuration} to include ${requestText(request)}, then run kernelstub`,
    );
  }
  const run = (option: '-a' | '-d', list: readonly string[]): Argv => [program, option, list.join(' ')];
  const command = (option: '-a' | '-d', list: readonly string[]): LoaderCommand => ({
    argv: run(option, list),
    undo: run(option === '-a' ? '-d' : '-a', list),
    // It exits with 0 even if it has changed nothing.
    result: option === '-a' && current !== null ? { kind: 'file', path: current.path, has: list } : null,
    reason: `kernelstub writes the boot entries from ${configuration}`,
  });
  return {
    loader: 'kernelstub',
    request,
    files: [],
    commands: [
      ...(remove.length > 0 ? [command('-d', remove)] : []),
      ...(add.length > 0 ? [command('-a', add)] : []),
    ],
    notes: [],
  };
}

/** The entry that boots next, `Pop_OS-current.conf`; null if the EFI partition is not accessible. */
function currentEntry(root: HostRoot): BootEntry | null {
  const entries = readable(() => bootEntries(root)) ?? [];
  return entries.find(entry => /-current\.conf$/.test(entry.path)) ?? null;
}
