import { kernelParameters, parameterOptions } from '../kernel-cmdline.ts';
import type { HostRoot } from '../root.ts';
import { type ConfigLine, configLines } from './config-files.ts';

/** The parts of modprobe.d(5) and the kernel command line that decide which driver a device gets. */
export type ModprobeConfig = {
  readonly options: readonly (ModuleLine & { readonly options: string })[];
  readonly softdeps: readonly (ModuleLine & {
    /** Modules to load before it. */
    readonly pre: readonly string[];
  })[];
  readonly blacklist: readonly ModuleLine[];
  /** Commands that run instead of loading a module. */
  readonly installs: readonly (ModuleLine & { readonly command: string })[];
  /** Modules by a modalias pattern. */
  readonly aliases: readonly (ModuleLine & { readonly pattern: string })[];
};

type ModuleLine = ConfigLine & { readonly module: string };

export const modprobeDirectories = [
  '/etc/modprobe.d',
  '/run/modprobe.d',
  '/usr/local/lib/modprobe.d',
  '/usr/lib/modprobe.d',
  '/lib/modprobe.d',
] as const;

export const commandLineSource = 'kernel command line';

/** Dashes and underscores in module names are equivalent. */
export function moduleName(name: string): string {
  return name.replaceAll('-', '_');
}

export function readModprobe(root: HostRoot): ModprobeConfig {
  const options: ModprobeConfig['options'][number][] = [];
  const softdeps: ModprobeConfig['softdeps'][number][] = [];
  const blacklist: ModuleLine[] = [];
  const installs: ModprobeConfig['installs'][number][] = [];
  const aliases: ModprobeConfig['aliases'][number][] = [];
  for (const line of configLines(root, modprobeDirectories, '.conf')) {
    const [command, name = '', ...rest] = line.text.split(/\s+/);
    const module = moduleName(name);
    if (command === 'options') options.push({ ...line, module, options: rest.join(' ') });
    if (command === 'softdep') softdeps.push({ ...line, module, pre: preModules(rest) });
    if (command === 'blacklist') blacklist.push({ ...line, module });
    if (command === 'install') installs.push({ ...line, module, command: rest.join(' ') });
    if (command === 'alias') aliases.push({ ...line, module: moduleName(rest[0] ?? ''), pattern: name });
  }
  const parameters = kernelParameters(root);
  for (const name of ['modprobe.blacklist', 'module_blacklist']) {
    for (const module of parameterOptions(parameters, name)) {
      blacklist.push({ file: commandLineSource, line: 1, text: name, module: moduleName(module) });
    }
  }
  return { options, softdeps, blacklist, installs, aliases };
}

/** `pre: a b post: c` */
function preModules(words: readonly string[]): string[] {
  const found: string[] = [];
  let section = '';
  for (const word of words) {
    if (word === 'pre:' || word === 'post:') section = word;
    else if (section === 'pre:') found.push(moduleName(word));
  }
  return found;
}
