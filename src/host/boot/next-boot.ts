import path from 'node:path';
import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { isParkingDriver } from '../vfio/read.ts';
import { type BootScript, mentions, readBootScripts } from './boot-scripts.ts';
import { configFiles, configText, unreadableConfig } from './config-files.ts';
import { type Desired, desiredPath, readDesired } from './desired.ts';
import { readEarlyModules } from './early-modules.ts';
import { type Identity, identify, identityText, sameDevice } from './identity.ts';
import { type DeviceIds, matchesIds, readConfiguredIds } from './ids.ts';
import { type LoadSources, loadOrder } from './load-order.ts';
import { installOf, moduleName, readModprobe } from './modprobe.ts';
import { type NetworkManagerFiles, readNetworkManager } from './network-manager.ts';
import { readSysfsWrites, type SysfsWrite, writesTo } from './sysfs-writes.ts';
import { type LinkFile, readLinkFiles } from './systemd-link.ts';
import { type DeviceRule, matchRule, readDeviceRules } from './udev-rules.ts';
import { ruleProblems, type VfCount, vfCount } from './vf-count.ts';

/** What the next boot does with a function, as far as it is configured. */
export type NextBoot = {
  /** The configured driver; null if none is, so that the kernel chooses. */
  readonly driver: string | null;
  /** The configured number of VFs of a physical function. */
  readonly vfs: number | null;
  /** The files that configure it, or the kernel command line. */
  readonly sources: readonly string[];
  /** Why the configuration may not take effect, and what is not known. */
  readonly problems: readonly string[];
  /** How it differs from the function's current state, in words; null if it does not. */
  readonly drift: string | null;
};

/** By address: functions that are configured, or whose state the next boot would change. */
export function readNextBoot(root: HostRoot, functions: readonly PciFunction[]): Map<string, NextBoot> {
  const sources = collect(root);
  const byAddress = new Map(functions.map(fn => [fn.address, fn]));
  const result = new Map<string, NextBoot>();
  for (const fn of functions) {
    const next = nextBootOf(root, fn, byAddress.get(fn.physicalFunction ?? ''), sources);
    if (next) result.set(fn.address, next);
  }
  return result;
}

type Sources = LoadSources & {
  readonly rules: readonly DeviceRule[];
  readonly links: readonly LinkFile[];
  readonly desired: Desired;
  readonly ids: readonly DeviceIds[];
  readonly driverctl: ReadonlyMap<string, string>;
  readonly scripts: readonly BootScript[];
  readonly networkManager: NetworkManagerFiles;
  readonly writes: readonly SysfsWrite[];
  readonly unreadable: readonly string[];
  /** Cache, by address of a physical function. */
  readonly counts: Map<string, VfCount>;
};

const driverctlDirectory = '/etc/driverctl.d';

function collect(root: HostRoot): Sources {
  const modprobe = readModprobe(root);
  const driverctl = configFiles(root, [driverctlDirectory], '').map(
    file => [path.posix.basename(file), configText(root, file)?.trim() ?? ''] as const,
  );
  const read = {
    modprobe,
    early: readEarlyModules(root),
    rules: readDeviceRules(root),
    links: readLinkFiles(root),
    desired: readDesired(root),
    ids: readConfiguredIds(root, modprobe),
    driverctl: new Map(driverctl),
    scripts: readBootScripts(root),
    networkManager: readNetworkManager(root),
    writes: readSysfsWrites(root),
    counts: new Map(),
  };
  return { ...read, unreadable: unreadableConfig(root) };
}

function nextBootOf(
  root: HostRoot,
  fn: PciFunction,
  owner: PciFunction | undefined,
  sources: Sources,
): NextBoot | null {
  const found = new Set<string>();
  const problems: string[] = [];
  let driver: string | null = null;
  for (const ids of sources.ids.filter(each => matchesIds(fn, each.text))) {
    if (ids.replacedBy !== null) {
      problems.push(`ids= of ${ids.source} for ${ids.text} has no effect: ${ids.replacedBy} sets ids= later`);
      continue;
    }
    driver = ids.driver;
    const order = loadOrder(root, fn, ids, sources);
    for (const source of [ids.source, ...order.sources]) found.add(source);
    problems.push(...order.problems);
  }
  const override = sources.driverctl.get(fn.address);
  if (override) {
    driver = override;
    found.add(`${driverctlDirectory}/${fn.address}`);
  }
  for (const rule of sources.rules.filter(each => each.driver !== undefined)) {
    const match = matchRule(root, rule, fn);
    if (match.result === 'yes' && rule.driver) driver = rule.driver;
    if (match.result === 'yes') found.add(rule.file);
    problems.push(...ruleProblems(rule, match, rule.driver ?? null));
  }
  for (const write of writesTo(root, fn, 'driver_override', sources.writes)) {
    found.add(write.file);
    driver = write.value;
    if (fn.modules.some(module => module !== write.value.replaceAll('-', '_'))) {
      problems.push(
        `${write.file}, line ${write.line} is applied after udev has loaded drivers: one that is bound by then stays`,
      );
    }
  }
  const uninterpreted = driver === null ? unknownDriver(fn, sources) : [];
  problems.push(...uninterpreted);
  const counted = countOf(root, fn, sources);
  let vfs = counted.count;
  for (const source of counted.sources) found.add(source);
  problems.push(...counted.problems);
  const stored = storedFor(fn, sources.desired, owner);
  if (stored) {
    found.add(desiredPath);
    const now = identify(root, fn);
    if (stored.identity && !sameDevice(stored.identity, now)) {
      problems.push(
        `stored for ${identityText(stored.identity)}, but found ${identityText(now)}: the next boot skips it`,
      );
    } else {
      driver = stored.driver ?? driver;
      vfs = stored.count ?? vfs;
    }
  }
  const exists = existsAfterBoot(root, fn, owner, sources);
  const unknown = vfs === null && counted.unknown;
  const drift = driftOf(fn, { driver, vfs, exists, unknown, anyDriver: uninterpreted.length > 0 });
  if (found.size + problems.length === 0 && drift === null) return null;
  for (const path of sources.unreadable) problems.push(`not known what ${path} sets: it cannot be read`);
  return { driver, vfs, sources: [...found], problems: [...new Set(problems)], drift };
}

/**
 * Files that may give a function another driver, in a way that is known only when they run: scripts that name the
 * function and, if it is bound for a guest, the command that runs whenever vfio-pci is loaded.
 */
function unknownDriver(fn: PciFunction, { scripts, modprobe }: Sources): string[] {
  const named = scripts.filter(
    script => script.text !== null && script.creates !== 'vfs' && mentions(script, fn.address, []),
  );
  const install = isParkingDriver(fn.driver) ? installOf(modprobe, moduleName(fn.driver!)) : null;
  const runs = install !== null && !/^(\/\S*\/)?modprobe\s[^;&|]*$/.test(install.command);
  return [
    ...named.map(({ file }) => `not known which driver ${file} gives it: vring does not interpret it`),
    ...(runs
      ? [`not known which devices ${install.file}, line ${install.line} binds: it runs a command`]
      : []),
  ];
}

type Stored = {
  readonly identity: Identity | null;
  readonly driver: string | null;
  readonly count: number | null;
};

/** A VF is stored with its physical function, by index: its address depends on the physical function's. */
function storedFor(fn: PciFunction, desired: Desired, owner: PciFunction | undefined): Stored | null {
  const device = desired.devices[fn.address];
  const sriov = desired.sriov[fn.address];
  if (device || sriov) {
    return {
      identity: (device ?? sriov)!.identity,
      driver: device?.driver ?? null,
      count: sriov?.count ?? null,
    };
  }
  const index = owner?.virtualFunctions.indexOf(fn.address) ?? -1;
  const driver = owner && desired.sriov[owner.address]?.vfs[index]?.driver;
  return driver === undefined ? null : { identity: null, driver, count: null };
}

function countOf(root: HostRoot, fn: PciFunction, sources: Sources): VfCount {
  const known = sources.counts.get(fn.address) ?? vfCount(root, fn, sources);
  sources.counts.set(fn.address, known);
  return known;
}

/** Whether a virtual function will exist: its physical function must have enough VFs configured. Null if not known. */
function existsAfterBoot(
  root: HostRoot,
  fn: PciFunction,
  owner: PciFunction | undefined,
  sources: Sources,
): boolean | null {
  if (!owner) return true;
  const { count, unknown } = countOf(root, owner, sources);
  const index = owner.virtualFunctions.indexOf(fn.address);
  if (index < Math.max(sources.desired.sriov[owner.address]?.count ?? 0, count ?? 0)) return true;
  return count === null && unknown ? null : false;
}

function driftOf(
  fn: PciFunction,
  next: {
    driver: string | null;
    vfs: number | null;
    exists: boolean | null;
    unknown: boolean;
    /** A source that vring does not interpret may give it another driver. */
    anyDriver: boolean;
  },
): string | null {
  // The physical function reports the removal of its VFs; only VFs bound for guests report it themselves.
  if (next.exists !== true) {
    const becomes = next.exists === null ? 'not known' : 'gone';
    return isParkingDriver(fn.driver) ? `${fn.driver} now, ${becomes} after a boot` : null;
  }
  if (next.driver !== null && fn.driver !== next.driver) {
    return `${fn.driver ?? 'no driver'} now, ${next.driver} after a boot`;
  }
  if (next.driver === null && isParkingDriver(fn.driver)) {
    return `${fn.driver} now, ${next.anyDriver ? 'not known' : "the host's driver"} after a boot`;
  }
  const count = fn.virtualFunctions.length;
  if (count === (next.vfs ?? 0)) return null;
  return `${count} VFs now, ${next.unknown ? 'not known' : (next.vfs ?? 0)} after a boot`;
}
