import { kernelParameters, parameterOptions } from '../kernel-cmdline.ts';
import { kernelRelease } from '../pci/modules.ts';
import type { HostRoot } from '../root.ts';
import { type ConfigLine, configLines, configText, fileLines } from './config-files.ts';
import { globMatches } from './glob.ts';

/** The parts of modprobe.d(5) and the kernel command line that decide which driver a device gets. */
export type ModprobeConfig = {
  readonly options: readonly (ModuleLine & { readonly options: string })[];
  readonly softdeps: readonly Softdep[];
  readonly blacklist: readonly ModuleLine[];
  /** Commands that run instead of loading a module. */
  readonly installs: readonly (ModuleLine & { readonly command: string })[];
  /** Modules by a modalias pattern. */
  readonly aliases: readonly (ModuleLine & { readonly pattern: string })[];
};

/** A module's name; for soft dependencies and commands, it may be a pattern, `nvidia*`. */
type ModuleLine = ConfigLine & { readonly module: string };

export type Softdep = ModuleLine & {
  /** Modules to load before it, and after it. */
  readonly pre: readonly string[];
  readonly post: readonly string[];
};

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
    if (command === 'softdep') softdeps.push({ ...line, module, ...softdepModules(rest) });
    if (command === 'blacklist') blacklist.push({ ...line, module });
    if (command === 'install') installs.push({ ...line, module, command: rest.join(' ') });
    if (command === 'alias') aliases.push({ ...line, module: moduleName(rest[0] ?? ''), pattern: name });
  }
  softdeps.push(...ownSoftdeps(root));
  const parameters = kernelParameters(root);
  for (const name of ['modprobe.blacklist', 'module_blacklist']) {
    for (const module of parameterOptions(parameters, name)) {
      blacklist.push({ file: commandLineSource, line: 1, text: name, module: moduleName(module) });
    }
  }
  return { options, softdeps, blacklist, installs, aliases };
}

/** Soft dependencies declared by the modules themselves, as depmod collected them. Any file takes precedence. */
function ownSoftdeps(root: HostRoot): Softdep[] {
  const file = `/lib/modules/${kernelRelease(root) ?? 'unknown'}/modules.softdep`;
  return fileLines(file, configText(root, file) ?? '').flatMap(line => {
    const [command, name, ...rest] = line.text.split(/\s+/);
    if (command !== 'softdep' || name === undefined) return [];
    return [{ ...line, module: moduleName(name), ...softdepModules(rest) }];
  });
}

/** The soft dependencies of a module: those of the first line for it alone. */
export function softdepOf({ softdeps }: Pick<ModprobeConfig, 'softdeps'>, module: string): Softdep | null {
  return softdeps.find(line => globMatches(line.module, module)) ?? null;
}

/** The command that runs instead of loading a module: the first one for it. */
export function installOf(
  { installs }: ModprobeConfig,
  module: string,
): ModprobeConfig['installs'][number] | null {
  return installs.find(line => globMatches(line.module, module)) ?? null;
}

/** `pre: a b post: c` */
function softdepModules(words: readonly string[]): Pick<Softdep, 'pre' | 'post'> {
  const found = { pre: [] as string[], post: [] as string[] };
  let section: 'pre' | 'post' | null = null;
  for (const word of words) {
    if (word === 'pre:' || word === 'post:') section = word === 'pre:' ? 'pre' : 'post';
    else if (section !== null) found[section].push(moduleName(word));
  }
  return found;
}
