import type { HostRoot } from '../../root.ts';
import type { ParameterRequest } from '../kernel-words.ts';
import { editPlain, type FileEdit, type PlainRange } from '../line-edit.ts';
import type { BootEvidence } from './evidence.ts';
import { grubDefaults } from './grub-defaults.ts';
import type { ParameterEdits } from './loader.ts';

/** GRUB 0.97, as in CentOS 6: the kernel lines of its menu. */
export function grubLegacy(
  root: HostRoot,
  _: BootEvidence,
  request: ParameterRequest,
): ParameterEdits | null {
  if (root.exists(grubDefaults) || root.exists('/boot/grub2')) return null;
  const path = ['/boot/grub/grub.conf', '/boot/grub/menu.lst'].find(file => root.exists(file));
  const before = path === undefined ? null : root.text(path);
  if (path === undefined || before === null) return null;
  const count = kernelRanges(before).length;
  let text = before;
  // Line by line: each is a separate command line.
  for (let index = 0; index < count; index++) {
    text = editPlain(path, text, each => kernelRanges(each).slice(index, index + 1), request)?.after ?? text;
  }
  const files: FileEdit[] = text === before ? [] : [{ path, before, after: text }];
  return { loader: 'GRUB 0.97', request, files, commands: [], notes: [] };
}

/** The parameters of each kernel line, without rescue entries. */
function kernelRanges(text: string): PlainRange[] {
  return [...text.matchAll(/^([ \t]*kernel[ \t]+(\S+)[ \t]*)(.*)$/gm)].flatMap(match => {
    const [, head, image, words] = match as unknown as [string, string, string, string];
    const rescue = /rescue|memtest|xen|\.c32/i.test(image) || /(^|\s)(single|rescue)(\s|$)/.test(words);
    const start = match.index + head.length;
    return rescue ? [] : [{ start, end: start + words.trimEnd().length }];
  });
}
