import { shellText } from '../../../text/shell.ts';
import { findProgram } from '../../distribution.ts';
import { kernelParameters, parameterValues } from '../../kernel-cmdline.ts';
import type { HostRoot } from '../../root.ts';
import { keyValues, natural } from '../../text.ts';
import { editedWords, type ParameterRequest, wordEdits } from '../kernel-words.ts';
import { ManualStepError } from '../line-edit.ts';
import { bootEntries, entryWords } from './entries.ts';
import type { BootEvidence } from './evidence.ts';
import { readable } from './grub-config.ts';
import type { Argv, ParameterEdits } from './loader.ts';

/** Silverblue, CoreOS, IoT: rpm-ostree writes an entry for each deployment. */
export function ostree(root: HostRoot, _: BootEvidence, request: ParameterRequest): ParameterEdits | null {
  if (!isOstree(root)) return null;
  const words = deploymentWords(root);
  const edits = wordEdits(words, request);
  const remove = [...edits.changes.keys()].map(index => words[index]!);
  const add = editedWords(words, edits).filter(word => !words.includes(word));
  const nothing: ParameterEdits = { loader: 'rpm-ostree', request, files: [], commands: [], notes: [] };
  if (add.length + remove.length === 0) return nothing;
  const program = findProgram(root, 'rpm-ostree');
  const kargs = (deleted: readonly string[], appended: readonly string[]): Argv => [
    program ?? 'rpm-ostree',
    'kargs',
    ...deleted.map(word => `--delete-if-present=${word}`),
    ...appended.map(word => `--append-if-missing=${word}`),
  ];
  const argv = kargs(remove, add);
  if (program === null)
    throw new ManualStepError('this is an OSTree host without rpm-ostree', manualStep(root, argv, add));
  return {
    ...nothing,
    commands: [
      {
        argv,
        undo: kargs(add, remove),
        result: { kind: 'output', argv: [program, 'kargs'], has: add },
        reason:
          'rpm-ostree creates a new deployment with these parameters; editing files in /etc and /boot has no effect',
      },
    ],
    notes: ['rpm-ostree rollback returns to the current deployment'],
  };
}

export function isOstree(root: HostRoot): boolean {
  return (
    root.exists('/run/ostree-booted') ||
    parameterValues(kernelParameters(root), 'ostree').length > 0 ||
    keyValues(root.text('/etc/os-release') ?? '').has('OSTREE_VERSION')
  );
}

/** The parameters of the deployment that boots next: the one with the highest number. */
function deploymentWords(root: HostRoot): readonly string[] {
  const entries = readable(() => bootEntries(root)) ?? [];
  const next = entries
    .filter(entry => /\/ostree-\d+/.test(entry.path))
    .toSorted((a, b) => natural(a.path, b.path))
    .at(-1);
  return next === undefined ? kernelParameters(root) : entryWords(next);
}

function manualStep(root: HostRoot, argv: Argv, add: readonly string[]): string {
  const edit = `ostree admin kargs edit-in-place ${shellText(add.map(word => `--append-if-missing=${word}`))}`;
  return findProgram(root, 'bootc')
    ? `${edit}, or kargs in /usr/lib/bootc/kargs.d of the image`
    : `${shellText(argv)} or ${edit}`;
}
