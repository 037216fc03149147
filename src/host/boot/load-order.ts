import type { PciFunction } from '../pci/function.ts';
import { kernelRelease } from '../pci/modules.ts';
import type { HostRoot } from '../root.ts';
import { keyValues } from '../text.ts';
import { readModule } from '../vfio/modules.ts';
import { hostServiceLink } from './desired.ts';
import type { EarlyModule, EarlyModules } from './early-modules.ts';
import { globMatches } from './glob.ts';
import type { DeviceIds } from './ids.ts';
import { commandLineSource, installOf, type ModprobeConfig, moduleName, softdepOf } from './modprobe.ts';

/** Whether the driver with the ids binds a device before the host's own driver does. */
export type LoadOrder = {
  /** The files that ensure it. */
  readonly sources: readonly string[];
  /** Why it does not, or why that is not known. */
  readonly problems: readonly string[];
};

export type LoadSources = { readonly modprobe: ModprobeConfig; readonly early: EarlyModules };

export function loadOrder(root: HostRoot, fn: PciFunction, ids: DeviceIds, sources: LoadSources): LoadOrder {
  const wanted = moduleName(ids.driver);
  if (readModule(root, wanted).state === 'built-in') {
    if (ids.source === commandLineSource) return { sources: [], problems: [] };
    const problem = `${ids.driver} is built into this kernel, which ignores ids in ${ids.source}`;
    return { sources: [], problems: [problem] };
  }
  const rivals = fn.modules.filter(module => module !== wanted);
  if (
    rivals.length === 0 &&
    anyLoader(root, wanted, sources) === null &&
    aliasTo(root, fn, wanted, sources.modprobe) === null
  ) {
    return {
      sources: [],
      problems: [`nothing loads ${ids.driver} at boot: the device is left without a driver`],
    };
  }
  const found = rivals.map(module => orderAgainst(root, fn, ids, module, sources));
  return {
    sources: [...new Set(found.flatMap(each => each.sources))],
    problems: [...new Set(found.flatMap(each => each.problems))],
  };
}

/** The order relative to one module that claims the device. */
function orderAgainst(
  root: HostRoot,
  fn: PciFunction,
  ids: DeviceIds,
  module: string,
  sources: LoadSources,
): LoadOrder {
  const { modprobe, early } = sources;
  const wanted = moduleName(ids.driver);
  const ordered = (...by: string[]): LoadOrder => ({ sources: by, problems: [] });
  const problem = (text: string, ...by: string[]): LoadOrder => ({ sources: by, problems: [text] });
  if (readModule(root, module).state === 'built-in') {
    return problem(
      `${module} is built into this kernel and binds the device before ${ids.driver} can be loaded`,
    );
  }
  const before = firstBy(root, wanted, module, modprobe) ?? aliasTo(root, fn, wanted, modprobe);
  const loads = early.modules.filter(each => each.module === wanted);
  if (before !== null) {
    const absent = early.kmsHook && fn.class.startsWith('03') && !loads.some(each => each.when === 'first');
    if (!absent) return ordered(before);
    return problem(
      `the kms hook of mkinitcpio loads ${module} in the initramfs, which does not have ${ids.driver}: add ${wanted} to MODULES in /etc/mkinitcpio.conf, and run mkinitcpio -P`,
      before,
    );
  }
  const first = loads.find(each => each.when === 'first' && !each.behind.includes(module));
  if (first !== undefined) return firstLoad(first, ids, early);
  const away = keptAway(module, modprobe);
  if (away !== null) {
    const loader = anyLoader(root, wanted, sources);
    if (loader !== null) return ordered(away, loader);
    return problem(
      `${away} keeps ${module} from loading, but nothing loads ${ids.driver}: the device is left without a driver`,
      away,
    );
  }
  const masked = maskedSoftdep(wanted, module, modprobe);
  return masked === null ? unordered(fn, ids, module, loads, early) : problem(masked);
}

/** Why a soft dependency that would order the two does not. */
function maskedSoftdep(wanted: string, module: string, modprobe: ModprobeConfig): string | null {
  const first = softdepOf(modprobe, module);
  const later = modprobe.softdeps.find(
    line => line !== first && globMatches(line.module, module) && line.pre.includes(wanted),
  );
  if (first === null || later === undefined) return null;
  return `softdep ${module} in ${later.file}, line ${later.line} has no effect: modprobe uses only the first one, in ${first.file}, line ${first.line}`;
}

/** No file orders the two: reports what is known about when each is loaded. */
function unordered(
  fn: PciFunction,
  ids: DeviceIds,
  module: string,
  loads: readonly EarlyModule[],
  early: EarlyModules,
): LoadOrder {
  const problem = (text: string, ...by: string[]): LoadOrder => ({ sources: by, problems: [text] });
  const late = loads.find(each => each.when === 'first');
  if (late !== undefined) {
    return problem(
      `${late.source} loads ${module} before ${ids.driver}: the one loaded first gets the device`,
    );
  }
  const initramfs = loads.find(each => each.when === 'initramfs');
  if (initramfs !== undefined) {
    // The initramfs has no graphics and sound drivers unless they are listed.
    if (/^0[34]/.test(fn.class) && !early.modules.some(each => each.module === module)) {
      return { sources: [initramfs.source], problems: [] };
    }
    return problem(
      `not known whether ${ids.driver} is loaded first: ${initramfs.source} loads it in the initramfs, which may also contain ${module}`,
    );
  }
  const beside = loads.find(each => each.when === 'beside');
  if (beside !== undefined) {
    return problem(
      `${beside.source} loads ${ids.driver} while udev loads ${module}: whichever is loaded first gets the device`,
    );
  }
  const [unknown] = early.unknown;
  if (unknown !== undefined) {
    return problem(`not known whether ${ids.driver} is loaded before ${module}: ${unknown}`);
  }
  return problem(
    `nothing makes ${ids.driver} load before ${module}: whichever is loaded first gets the device`,
  );
}

/** mkinitcpio's initramfs contains modprobe.d only if a hook adds it. */
function firstLoad(load: EarlyModule, ids: DeviceIds, early: EarlyModules): LoadOrder {
  const blind = early.modprobeHook === false && load.source.includes('mkinitcpio');
  if (!blind || ids.source === commandLineSource) return { sources: [load.source], problems: [] };
  const text = `${load.source} loads ${ids.driver} without the modconf hook: the initramfs does not have ${ids.source}`;
  return { sources: [load.source], problems: [text] };
}

/** The file that makes `wanted` load before `module`, or before a module that `module` depends on. */
function firstBy(root: HostRoot, wanted: string, module: string, modprobe: ModprobeConfig): string | null {
  const seen = new Set<string>();
  const pending = [module];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    const install = installOf(modprobe, next);
    if (install !== null && mentions(install.command, wanted)) return install.file;
    const softdep = softdepOf(modprobe, next);
    if (softdep?.pre.includes(wanted)) return softdep.file;
    pending.push(...(softdep?.pre ?? []));
    pending.push(...dependencies(root, next));
  }
  return null;
}

/** Drivers in drivers/gpu/drm, which depend on drm even if modules.dep does not list it. */
const graphics = new Set([
  'nouveau',
  'amdgpu',
  'radeon',
  'i915',
  'xe',
  'ast',
  'mgag200',
  'nvidia_drm',
  'virtio_gpu',
]);

/** Modules that modprobe loads before this one (modules.dep), without built-in ones. */
function dependencies(root: HostRoot, module: string): string[] {
  const listed = moduleDependencies(root).get(module) ?? [];
  const drm = graphics.has(module) && readModule(root, 'drm').state !== 'built-in' ? ['drm'] : [];
  return [...listed, ...drm];
}

const read = new WeakMap<HostRoot, ReadonlyMap<string, readonly string[]>>();

function moduleDependencies(root: HostRoot): ReadonlyMap<string, readonly string[]> {
  const known = read.get(root);
  if (known !== undefined) return known;
  const text = root.text(`/lib/modules/${kernelRelease(root) ?? 'unknown'}/modules.dep`, 32 << 20) ?? '';
  const name = (path: string): string => moduleName(/([^/]+?)\.ko/.exec(path)?.[1] ?? '');
  const result = new Map<string, string[]>();
  for (const match of text.matchAll(/^(\S+):[ \t]*(.*)$/gm)) {
    result.set(name(match[1]!), match[2]!.split(/\s+/).filter(Boolean).map(name));
  }
  read.set(root, result);
  return result;
}

/** `alias pci:v000010DEd...* vfio-pci` takes precedence over the drivers' own aliases. */
function aliasTo(root: HostRoot, fn: PciFunction, wanted: string, modprobe: ModprobeConfig): string | null {
  const alias = keyValues(root.attribute(`${fn.path}/uevent`) ?? '').get('MODALIAS');
  if (alias === undefined) return null;
  const line = modprobe.aliases.find(each => each.module === wanted && globMatches(each.pattern, alias));
  return line?.file ?? null;
}

/** The file that keeps udev from loading a module for a device. */
function keptAway(module: string, modprobe: ModprobeConfig): string | null {
  const blacklisted = modprobe.blacklist.find(line => line.module === module);
  const install = installOf(modprobe, module);
  const disabled = install !== null && /^(\/\S*\/)?(false|true|:)(\s|$)/.test(install.command);
  return blacklisted?.file ?? (disabled ? install.file : null);
}

/** A file that loads the driver for any reason, such as for another function of the card. */
function anyLoader(root: HostRoot, wanted: string, { modprobe, early }: LoadSources): string | null {
  const softdep = modprobe.softdeps.find(line => line.pre.includes(wanted));
  const install = modprobe.installs.find(line => mentions(line.command, wanted));
  const own = root.exists(hostServiceLink) ? hostServiceLink : undefined;
  const load = early.modules.find(each => each.module === wanted);
  return load?.source ?? softdep?.file ?? install?.file ?? own ?? null;
}

function mentions(command: string, module: string): boolean {
  return moduleName(command)
    .split(/[^\w]+/)
    .includes(module);
}
