import { findProgram } from '../../distribution.ts';
import { kernelParameters } from '../../kernel-cmdline.ts';
import type { HostRoot } from '../../root.ts';
import { editedWords, kernelWords, meetsRequest, type ParameterRequest, wordEdits } from '../kernel-words.ts';
import { isPlainWord, ManualStepError, requestText } from '../line-edit.ts';
import { type BootEntry, bootEntries, entryLine } from './entries.ts';
import type { BootEvidence } from './evidence.ts';
import { grubConfig } from './grub.ts';
import { grubKernelLines, readable } from './grub-config.ts';
import { editKernelCmdline } from './kernel-cmdline-file.ts';
import type { Argv, LoaderCommand, ParameterEdits } from './loader.ts';

/** Fedora, RHEL and derivatives: grubby edits the entries, and the defaults for later ones. */
export function grubby(
  root: HostRoot,
  evidence: BootEvidence,
  request: ParameterRequest,
): ParameterEdits | null {
  const program = findProgram(root, 'grubby');
  const other = evidence.booted !== null && evidence.booted !== 'grub';
  if (program === null || other || evidence.unified) return null;
  const lines = entryLines(root, request);
  const rescue = lines.filter(line => line.entry?.rescue);
  const changing = lines.filter(line => !line.entry?.rescue);
  const groups = Map.groupBy(changing, line => JSON.stringify(argumentsFor(line.words, request)));
  groups.delete(JSON.stringify(none));
  const nothing: ParameterEdits = { loader: 'grubby', request, files: [], commands: [], notes: [] };
  if (groups.size === 0) return nothing;
  // ALL would include the rescue entry, and sets the defaults for new kernels; without ALL these are edited here. Where
  // the parameters are in a variable of GRUB (RHEL 8), only ALL changes it, and new kernels use it.
  const shared = changing.some(usesVariable);
  const spared = rescue.length > 0 && !(shared && rescue.every(usesVariable));
  const all = groups.size === 1 && !spared && [...groups.values()][0]!.length === changing.length;
  const commands = [...groups.values()].flatMap(group => {
    const change = argumentsFor(group[0]!.words, request);
    const kernels = all ? ['ALL'] : group.map(line => kernelPath(line.entry!));
    return kernels.map(kernel => command(program, kernel, change, request));
  });
  const later = all ? null : editKernelCmdline(root, 'kernel-install', request).edit;
  const notes =
    all && rescue.length > 0 ? ['the rescue entry gets them, too: it uses the same kernelopts'] : [];
  return { ...nothing, files: later === null ? [] : [later], commands, notes };
}

/** `options $kernelopts $tuned_params`: kernelopts is in GRUB's environment block. */
function usesVariable({ entry }: EntryLine): boolean {
  return entry !== null && /\$\{?kernelopts\b/.test(entryLine(entry));
}

type EntryLine = { readonly entry: BootEntry | null; readonly words: readonly string[] };

/** The command line of each entry; if they are not accessible, of the generated configuration or the running kernel. */
function entryLines(root: HostRoot, request: ParameterRequest): EntryLine[] {
  const words = (line: string): string[] => kernelWords(line).map(word => word.text);
  const entries = readable(() => bootEntries(root)) ?? [];
  const environment = grubEnvironment(root);
  if (entries.length > 0) {
    return entries.map(entry => ({ entry, words: words(expand(entryLine(entry), environment)) }));
  }
  const generated = grubKernelLines(readable(() => root.text(grubConfig(root), 16 << 20)) ?? '');
  if (generated.length > 0) {
    // Without boot loader entries, all kernels are changed together: the first one that lacks a parameter decides.
    const lacking = generated.find(line => !meetsRequest(words(line), request));
    return [{ entry: null, words: words(lacking ?? generated[0]!) }];
  }
  return [{ entry: null, words: kernelParameters(root) }];
}

/** Variables of GRUB's environment block, such as `kernelopts` of RHEL 8. */
function grubEnvironment(root: HostRoot): Map<string, string> {
  const text = ['/boot/grub2/grubenv', '/boot/grub/grubenv']
    .map(path => readable(() => root.text(path)))
    .find(found => found !== null);
  return new Map([...(text ?? '').matchAll(/^(\w+)=(.*)$/gm)].map(match => [match[1]!, match[2]!]));
}

function expand(line: string, environment: ReadonlyMap<string, string>): string {
  return line.replace(/\$\{?(\w+)\}?/g, (_, name) => environment.get(name) ?? '');
}

type ArgumentChange = { readonly remove: readonly string[]; readonly add: readonly string[] };
const none: ArgumentChange = { remove: [], add: [] };

/** grubby identifies parameters by key: one that changes is removed and added. */
function argumentsFor(words: readonly string[], request: ParameterRequest): ArgumentChange {
  const edits = wordEdits(words, request);
  const remove = [...edits.changes.keys()].map(index => words[index]!);
  const after = editedWords(words, edits);
  const add = after.filter(word => !words.includes(word));
  if (![...remove, ...add].every(isPlainWord)) {
    throw new ManualStepError(
      `the parameters ${remove.join(' ')} are not safe to pass to grubby`,
      `add ${requestText(request)} to the entries in /boot/loader/entries`,
    );
  }
  return { remove, add };
}

function kernelPath(entry: BootEntry): string {
  // The path in an entry is relative to the file system of /boot, or of the root.
  const inBoot = entry.linux.lastIndexOf('/boot/');
  return inBoot >= 0 ? entry.linux.slice(inBoot) : `/boot/${entry.linux.replace(/^\/+/, '')}`;
}

function command(
  program: string,
  kernel: string,
  change: ArgumentChange,
  request: ParameterRequest,
): LoaderCommand {
  const grubbyCommand = (remove: readonly string[], add: readonly string[]): Argv => [
    program,
    `--update-kernel=${kernel}`,
    ...(remove.length > 0 ? [`--remove-args=${remove.join(' ')}`] : []),
    ...(add.length > 0 ? [`--args=${add.join(' ')}`] : []),
  ];
  return {
    argv: grubbyCommand(change.remove, change.add),
    undo: grubbyCommand(change.add, change.remove),
    result: {
      kind: 'output',
      argv: [program, `--info=${kernel}`],
      has: change.add.length > 0 ? change.add : request.add,
    },
    reason: 'grubby changes the boot entries',
  };
}
