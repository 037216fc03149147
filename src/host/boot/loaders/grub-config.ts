import type { HostRoot } from '../../root.ts';
import { kernelWords, type ParameterRequest, saysAlready } from '../kernel-words.ts';

/** More than any kernel reads. */
const maxLine = 65_536;

/**
 * The kernel lines of a grub.cfg that grub-mkconfig made of this host's own kernels, but for recovery: those of other
 * systems that os-prober found, and of /etc/grub.d/40_custom, are not among them.
 */
export function grubKernelLines(config: string): string[] {
  const sections = [...config.matchAll(/^### BEGIN \S*(?:10|20)_linux\w* ###$(.*?)^### END /gms)];
  const own = sections.length > 0 ? sections.map(match => match[1]!).join('\n') : config;
  const lines: string[] = [];
  let title = '';
  for (const line of own.split('\n')) {
    title = /^[ \t]*(?:menuentry|submenu)[ \t]+(.*)$/.exec(line)?.[1] ?? title;
    const kernel = /^[ \t]*(?:linux(?:16|efi)?|module2?)[ \t]+(\S+)[ \t]*(.*)$/.exec(line);
    if (kernel === null || /memtest|\.mod$|xen[^/]*\.gz$|initrd|initramfs/.test(kernel[1]!)) continue;
    const recovery =
      /recovery|rescue/i.test(title) || /(^|\s)(single|recovery|rescue)(\s|$)/.test(kernel[2]!);
    if (!recovery && !/rescue/.test(kernel[1]!)) lines.push(kernel[2]!.slice(0, maxLine));
  }
  return lines;
}

/** Does every kernel line of the generated file say it? Null: it cannot be read, or has none. */
export function grubConfigSays(root: HostRoot, path: string, request: ParameterRequest): boolean | null {
  const text = readable(() => root.text(path, 16 << 20));
  if (text === null) return null;
  const lines = grubKernelLines(text);
  if (lines.length === 0) return null;
  return lines.every(line =>
    saysAlready(
      kernelWords(line).map(word => word.text),
      request,
    ),
  );
}

/** On many hosts the file is for root alone. */
export function readable<T>(read: () => T | null): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

/**
 * grub.cfg is a script of GRUB's own shell: what it reads otherwise than the kernel would, in parameters that
 * grub-mkconfig puts into it as they are. Null: nothing.
 */
export function scriptTrouble(line: string): string | null {
  let quote = '';
  for (let at = 0; at < line.length; at++) {
    const char = line[at]!;
    if (char === '\\' && quote !== "'") at++;
    else if (quote !== '') quote = char === quote ? '' : quote;
    else if (char === '"' || char === "'") quote = char;
    else if (/[;&|<>\n]/.test(char)) return char === '\n' ? 'a line break' : `an unquoted ${char}`;
    else if (char === '#' && (at === 0 || /\s/.test(line[at - 1]!))) return 'a # that begins a comment';
  }
  return quote === '' ? null : `a ${quote} that is not closed`;
}
