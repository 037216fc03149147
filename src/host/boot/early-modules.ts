import { readDistribution } from '../distribution.ts';
import { kernelParameters, parameterOptions } from '../kernel-cmdline.ts';
import type { HostRoot } from '../root.ts';
import { configFiles, configLines, configText, fileLines } from './config-files.ts';
import { commandLineSource, moduleName } from './modprobe.ts';
import { readShellFiles } from './shell/script.ts';
import { type ShellVariables, valueText } from './shell/variables.ts';

/** A module that is loaded at each boot whether or not a device needs it. */
export type EarlyModule = {
  readonly module: string;
  readonly source: string;
  /**
   * `first`: before udev loads drivers for devices. `initramfs`: in the initramfs, but after its udev has started.
   * `beside`: while udev loads drivers.
   */
  readonly when: 'first' | 'initramfs' | 'beside';
  /** Modules that the same source loads before it, in order. */
  readonly behind: readonly string[];
};

export type EarlyModules = {
  readonly modules: readonly EarlyModule[];
  /** Sources that cannot be evaluated without running them, with the reason. */
  readonly unknown: readonly string[];
  /** Whether mkinitcpio's initramfs contains modprobe.d, which takes a hook; null if mkinitcpio is not used. */
  readonly modprobeHook: boolean | null;
  /** Whether mkinitcpio's initramfs contains graphics drivers, which udev loads from there (the kms hook). */
  readonly kmsHook: boolean;
};

const loadDirectories = [
  '/etc/modules-load.d',
  '/run/modules-load.d',
  '/usr/local/lib/modules-load.d',
  '/usr/lib/modules-load.d',
  '/lib/modules-load.d',
] as const;

export const dracutDirectories = ['/etc/dracut.conf.d', '/usr/lib/dracut/dracut.conf.d'] as const;

export const initramfsModules = '/etc/initramfs-tools/modules';

export function readEarlyModules(root: HostRoot): EarlyModules {
  const nix = readDistribution(root).id === 'nixos';
  const unknown = nix ? ['NixOS generates its initramfs from its configuration'] : [];
  const mkinitcpio = readMkinitcpio(root, unknown);
  const modules = [
    ...commandLineModules(root),
    ...mkinitcpio.modules,
    ...dracutModules(root, unknown),
    ...listed(initramfsModules, configText(root, initramfsModules), 'initramfs'),
    ...boosterModules(root),
    ...listed('/etc/modules', configText(root, '/etc/modules'), 'beside'),
    ...configLines(root, loadDirectories, '.conf').map(line => early(line.text, line.file, 'beside', [])),
  ];
  return { modules, unknown, modprobeHook: mkinitcpio.modprobeHook, kmsHook: mkinitcpio.kmsHook };
}

function early(
  name: string,
  source: string,
  when: EarlyModule['when'],
  behind: readonly string[],
): EarlyModule {
  return { module: moduleName(name.trim().split(/\s/)[0]!), source, when, behind: behind.map(moduleName) };
}

function inOrder(names: readonly string[], source: string, when: EarlyModule['when']): EarlyModule[] {
  return names.map((name, index) => early(name, source, when, names.slice(0, index)));
}

function listed(file: string, text: string | null, when: EarlyModule['when']): EarlyModule[] {
  return inOrder(
    fileLines(file, text ?? '').map(line => line.text),
    file,
    when,
  );
}

/** dracut.cmdline(7) and modules-load.d(5). */
function commandLineModules(root: HostRoot): EarlyModule[] {
  const parameters = kernelParameters(root);
  const named = (name: string): string[] => parameterOptions(parameters, name);
  return [
    ...inOrder(named('rd.driver.pre'), commandLineSource, 'first'),
    ...inOrder([...named('rd.modules_load'), ...named('modules_load')], commandLineSource, 'beside'),
  ];
}

/** mkinitcpio.conf(5), a bash file: MODULES are loaded in order, before any hook runs. */
function readMkinitcpio(
  root: HostRoot,
  unknown: string[],
): { modules: EarlyModule[]; modprobeHook: boolean | null; kmsHook: boolean } {
  const files = ['/etc/mkinitcpio.conf', ...configFiles(root, ['/etc/mkinitcpio.conf.d'], '.conf')];
  const variables = readBash(root, files);
  if (variables === null) return { modules: [], modprobeHook: null, kmsHook: false };
  const { list: modules, file } = listOf(variables, 'MODULES', files[0]!, unknown);
  const { list: hooks } = listOf(variables, 'HOOKS', files[0]!, unknown);
  return {
    // A trailing question mark: a missing module is not an error.
    modules: inOrder(
      modules.map(name => name.replace(/\?$/, '')),
      file,
      'first',
    ),
    modprobeHook: hooks.length === 0 ? null : hooks.includes('modconf') || hooks.includes('systemd'),
    kmsHook: hooks.includes('kms'),
  };
}

/** dracut.conf(5): force_drivers are loaded before udev starts; add_drivers are only included in the image. */
function dracutModules(root: HostRoot, unknown: string[]): EarlyModule[] {
  const files = ['/etc/dracut.conf', ...configFiles(root, dracutDirectories, '.conf')];
  const variables = readBash(root, files);
  if (variables === null) return [];
  const { list, file } = listOf(variables, 'force_drivers', files[0]!, unknown);
  return inOrder(list, file, 'first');
}

/** booster.yaml: `modules_force_load: a,b`. */
function boosterModules(root: HostRoot): EarlyModule[] {
  const file = '/etc/booster.yaml';
  const list = /^modules_force_load:\s*(.*)$/m.exec(configText(root, file) ?? '')?.[1] ?? '';
  return inOrder(list.split(/[,\s"']+/).filter(Boolean), file, 'first');
}

function readBash(root: HostRoot, files: readonly string[]): ShellVariables | null {
  const sources = files.flatMap(file => {
    const text = configText(root, file);
    return text === null ? [] : [{ file, text }];
  });
  if (sources.length === 0) return null;
  return readShellFiles({ dialect: 'bash', sources, read: path => root.text(path) });
}

/** An array, or the words of a string, with the file that sets it last. */
function listOf(
  variables: ShellVariables,
  name: string,
  file: string,
  unknown: string[],
): { list: readonly string[]; file: string } {
  const value = variables.value(name);
  if (value.unknown !== null) unknown.push(`${name}: ${value.unknown}`);
  return {
    list: value.elements ?? valueText(value).split(/\s+/).filter(Boolean),
    file: value.from.at(-1)?.file ?? file,
  };
}
