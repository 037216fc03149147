import { kernelParameters, parameterValues } from '../../kernel-cmdline.ts';
import type { HostRoot } from '../../root.ts';
import { kernelWords, meetsRequest, type ParameterRequest } from '../kernel-words.ts';
import { editPlain, type FileEdit, type PlainRange } from '../line-edit.ts';
import type { BootEvidence } from './evidence.ts';
import { editKernelCmdline } from './kernel-cmdline-file.ts';
import type { ParameterEdits } from './loader.ts';

/** An entry of the Boot Loader Specification (uapi-group.org, BLS type 1) that starts a kernel of this host. */
export type BootEntry = {
  readonly path: string;
  readonly text: string;
  readonly linux: string;
  /** A rescue entry, never changed. */
  readonly rescue: boolean;
  readonly options: readonly PlainRange[];
};

const directories = ['/boot/loader/entries', '/efi/loader/entries', '/boot/efi/loader/entries'];

/** Entries that start a kernel, from the first directory that has any. */
export function bootEntries(root: HostRoot): BootEntry[] {
  for (const directory of directories) {
    const names = (root.list(directory) ?? []).filter(name => name.endsWith('.conf'));
    const entries = names.flatMap(name => {
      const entry = parseEntry(`${directory}/${name}`, root.text(`${directory}/${name}`) ?? '');
      return entry === null ? [] : [entry];
    });
    if (entries.length > 0) return ownEntries(root, entries);
  }
  return [];
}

/**
 * Null for an entry that does not start Linux, such as a firmware tool or another boot loader. A kernel is an EFI
 * program, too, and some entries start it as one.
 */
function parseEntry(path: string, text: string): BootEntry | null {
  const field = (name: string): string =>
    new RegExp(`^[ \\t]*${name}[ \\t]+(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  const program = field('efi');
  const linux = field('linux') || (/vmlinu|bzimage/i.test(program) ? program : '');
  if (linux === '') return null;
  const rescue = [path, linux, field('title'), field('version')].some(each => /rescue|recovery/i.test(each));
  return { path, text, linux, rescue, options: optionRanges(text) };
}

/** Several `options` lines are joined. */
function optionRanges(text: string): PlainRange[] {
  return [...text.matchAll(/^[ \t]*options(?:[ \t]+(.*?))?[ \t\r]*$/gm)].map(match => {
    const end = match.index + match[0].trimEnd().length;
    return { start: end - (match[1]?.length ?? 0), end };
  });
}

/** Entries of other systems have another root=; if none has this host's root, all are returned. */
function ownEntries(root: HostRoot, entries: readonly BootEntry[]): BootEntry[] {
  const running = parameterValues(kernelParameters(root), 'root').at(-1);
  const own = entries.filter(entry => parameterValues(entryWords(entry), 'root').at(-1) === running);
  return own.some(entry => !entry.rescue) && running !== undefined ? own : [...entries];
}

export function entryLine(entry: BootEntry): string {
  return entry.options.map(({ start, end }) => entry.text.slice(start, end)).join(' ');
}

export function entryWords(entry: BootEntry): string[] {
  return kernelWords(entryLine(entry)).map(word => word.text);
}

/** An entry without options gets an options line. */
export function editEntry(entry: BootEntry, request: ParameterRequest): FileEdit | null {
  if (meetsRequest(entryWords(entry), request)) return null;
  if (entry.options.length > 0) return editPlain(entry.path, entry.text, optionRanges, request);
  const gap = entry.text.endsWith('\n') ? '' : '\n';
  const after = `${entry.text}${gap}options ${request.add.join(' ')}\n`;
  return { path: entry.path, before: entry.text, after };
}

/** Edits the entries of installed kernels, and kernel-install's file for later ones. */
export function editEntries(root: HostRoot, request: ParameterRequest): ParameterEdits {
  const entries = bootEntries(root).filter(entry => !entry.rescue);
  const files = entries.map(entry => editEntry(entry, request)).filter(edit => edit !== null);
  const later = editKernelCmdline(root, 'kernel-install', request);
  return {
    loader: 'systemd-boot',
    request,
    files: [...files, ...(later.edit === null ? [] : [later.edit])],
    commands: [],
    notes: [],
  };
}

/** systemd-boot, or any other boot loader that reads such entries. */
export function entries(
  root: HostRoot,
  evidence: BootEvidence,
  request: ParameterRequest,
): ParameterEdits | null {
  if (evidence.booted === 'grub' || evidence.booted === 'other') return null;
  if (!bootEntries(root).some(entry => !entry.rescue)) return null;
  return editEntries(root, request);
}
