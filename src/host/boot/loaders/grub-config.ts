import type { HostRoot } from '../../root.ts';
import { kernelWords, meetsRequest, type ParameterRequest } from '../kernel-words.ts';

/** Longer than any kernel reads. */
const maxLine = 65_536;

/**
 * The kernel lines of a grub.cfg that grub-mkconfig generated for this host's own kernels, without recovery entries,
 * those of other systems (os-prober) and those of /etc/grub.d/40_custom.
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

/** Whether every kernel line of the generated file meets the request; null if it cannot be read, or has none. */
export function grubConfigSays(root: HostRoot, path: string, request: ParameterRequest): boolean | null {
  const text = readable(() => root.text(path, 16 << 20));
  if (text === null) return null;
  const lines = grubKernelLines(text);
  if (lines.length === 0) return null;
  return lines.every(line =>
    meetsRequest(
      kernelWords(line).map(word => word.text),
      request,
    ),
  );
}

/** Null if it cannot be read: on many hosts, only root may. */
export function readable<T>(read: () => T | null): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

/**
 * Characters that GRUB's script language would interpret: grub-mkconfig copies parameters into grub.cfg unquoted. Null
 * if there are none.
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
