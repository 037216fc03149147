import type { HostRoot } from '../../root.ts';
import { natural } from '../../text.ts';
import { kernelWords, meetsRequest, type ParameterRequest, wordEdits } from '../kernel-words.ts';
import { editPlain, type FileEdit, ManualStepError, type PlainRange, requestText } from '../line-edit.ts';

/**
 * The program that reads /etc/kernel/cmdline: kernel-install and ukify use the whole file, proxmox-boot-tool its first
 * line, mkinitcpio all lines but comments, followed by those of /etc/cmdline.d/*.conf.
 */
export type CmdlineReader = 'kernel-install' | 'proxmox-boot-tool' | 'mkinitcpio';

export const kernelCmdline = '/etc/kernel/cmdline';

export type CmdlineFile = {
  /** The file that has the parameters, or gets them; null if there is none. */
  readonly path: string | null;
  /** Null if the file already has them. */
  readonly edit: FileEdit | null;
};

export function editKernelCmdline(
  root: HostRoot,
  reader: CmdlineReader,
  request: ParameterRequest,
): CmdlineFile {
  const files = cmdlineFiles(root, reader).flatMap(path => {
    const text = root.text(path);
    if (text === null) return [];
    const ranges = readRanges(text, reader);
    return [{ path, text, ranges, line: ranges.map(({ start, end }) => text.slice(start, end)).join(' ') }];
  });
  const first = files.at(0);
  if (first === undefined) return { path: null, edit: null };
  const words = kernelWords(files.map(file => file.line).join(' ')).map(word => word.text);
  if (meetsRequest(words, request)) return { path: first.path, edit: null };
  // Of several files, the first one that mentions a requested parameter, or else the first.
  const touched = files.find(file => {
    const own = kernelWords(file.line).map(word => word.text);
    return own.some(word => request.add.concat(request.remove).some(each => sameKey(word, each)));
  });
  const { path, text, ranges } = touched ?? first;
  if (ranges.length === 0) {
    const gap = text === '' || text.endsWith('\n') ? '' : '\n';
    return { path, edit: { path, before: text, after: `${text}${gap}${request.add.join(' ')}\n` } };
  }
  const edit = editPlain(path, text, each => readRanges(each, reader), request);
  const others = files.filter(file => file.path !== path).map(file => file.line);
  const rest = kernelWords(others.join(' ')).map(word => word.text);
  if (saysAgainst(rest, request)) {
    const step = `put ${requestText(request)} in only one of them`;
    throw new ManualStepError(`${files.map(file => file.path).join(' and ')} contradict each other`, step);
  }
  return { path, edit };
}

/** Whether words would still have to change after an edit elsewhere. */
function saysAgainst(words: readonly string[], request: ParameterRequest): boolean {
  return wordEdits(words, request).changes.size > 0;
}

function sameKey(a: string, b: string): boolean {
  const key = (word: string): string => word.split('=')[0]!.replaceAll('-', '_');
  return key(a) === key(b);
}

function cmdlineFiles(root: HostRoot, reader: CmdlineReader): string[] {
  const main = [kernelCmdline, '/usr/lib/kernel/cmdline'].find(path => root.exists(path));
  if (reader !== 'mkinitcpio') return root.exists(kernelCmdline) ? [kernelCmdline] : [];
  const directory = '/etc/cmdline.d';
  const names = (root.list(directory) ?? []).filter(name => name.endsWith('.conf')).sort(natural);
  return [...(main === undefined ? [] : [main]), ...names.map(name => `${directory}/${name}`)];
}

/** The lines that are read. */
function readRanges(text: string, reader: CmdlineReader): PlainRange[] {
  const lines = [...text.matchAll(/[^\n]*/g)]
    .filter(match => match.index < text.length || text === '')
    .map(match => ({ start: match.index, end: match.index + match[0].length }));
  const filled = lines.filter(({ start, end }) => text.slice(start, end).trim() !== '');
  if (reader === 'proxmox-boot-tool') return lines.slice(0, 1);
  const counted = reader === 'mkinitcpio' ? filled.filter(({ start }) => text[start] !== '#') : filled;
  return counted;
}
