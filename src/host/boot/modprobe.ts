import type { HostRoot } from '../root.ts';
import { type ConfigLine, configLines } from './config-files.ts';

/** modprobe.d(5), as far as it decides which driver a device gets. */
export type ModprobeConfig = {
  readonly options: readonly (ConfigLine & { readonly module: string; readonly options: string })[];
  readonly softdeps: readonly (ConfigLine & {
    readonly module: string;
    /** Modules that are loaded before it. */
    readonly pre: readonly string[];
  })[];
  readonly blacklist: readonly (ConfigLine & { readonly module: string })[];
};

export const modprobeDirectories = [
  '/etc/modprobe.d',
  '/run/modprobe.d',
  '/usr/local/lib/modprobe.d',
  '/usr/lib/modprobe.d',
  '/lib/modprobe.d',
] as const;

export function readModprobe(root: HostRoot): ModprobeConfig {
  const options: ModprobeConfig['options'][number][] = [];
  const softdeps: ModprobeConfig['softdeps'][number][] = [];
  const blacklist: ModprobeConfig['blacklist'][number][] = [];
  for (const line of configLines(root, modprobeDirectories, '.conf')) {
    const [command, name = '', ...rest] = line.text.split(/\s+/);
    const module = name.replaceAll('-', '_');
    if (command === 'options') options.push({ ...line, module, options: rest.join(' ') });
    if (command === 'softdep') softdeps.push({ ...line, module, pre: preModules(rest) });
    if (command === 'blacklist') blacklist.push({ ...line, module });
  }
  return { options, softdeps, blacklist };
}

/** `pre: a b post: c` */
function preModules(words: readonly string[]): string[] {
  const found: string[] = [];
  let section = '';
  for (const word of words) {
    if (word === 'pre:' || word === 'post:') section = word;
    else if (section === 'pre:') found.push(word.replaceAll('-', '_'));
  }
  return found;
}
