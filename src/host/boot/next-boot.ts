import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { integer } from '../text.ts';
import { readModule } from '../vfio/modules.ts';
import { isParkingDriver } from '../vfio/read.ts';
import { type Desired, desiredPath, readDesired } from './desired.ts';
import { type Identity, identify, identityText, sameDevice } from './identity.ts';
import { type DeviceIds, matchesIds, readConfiguredIds } from './ids.ts';
import { type ModprobeConfig, readModprobe } from './modprobe.ts';
import { type AddressRule, readAddressRules } from './udev-rules.ts';

/** What the configuration makes of a function at the next boot, as far as it says anything. */
export type NextBoot = {
  /** The driver it is configured for; null: none is, the kernel's own choice. */
  readonly driver: string | null;
  /** VFs that a physical function is configured for. */
  readonly vfs: number | null;
  /** The files, or the kernel's command line, that say so. */
  readonly sources: readonly string[];
  /** Why the configuration may not do what it says; empty when nothing speaks against it. */
  readonly problems: readonly string[];
  /** Differs from how the function is now, in words; null when it does not. */
  readonly drift: string | null;
};

/** By address: functions that are configured, or in a state that a boot would undo. */
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

type Sources = {
  readonly modprobe: ModprobeConfig;
  readonly rules: readonly AddressRule[];
  readonly desired: Desired;
  readonly ids: readonly DeviceIds[];
  readonly driverctl: ReadonlyMap<string, string>;
};

function collect(root: HostRoot): Sources {
  const modprobe = readModprobe(root);
  const driverctl = (root.list('/etc/driverctl.d') ?? []).map(
    address => [address, root.attribute(`/etc/driverctl.d/${address}`) ?? ''] as const,
  );
  return {
    modprobe,
    rules: readAddressRules(root),
    desired: readDesired(root),
    ids: readConfiguredIds(root, modprobe),
    driverctl: new Map(driverctl),
  };
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
  let vfs: number | null = null;
  for (const ids of sources.ids.filter(each => matchesIds(fn, each.text))) {
    driver = ids.driver;
    found.add(ids.source);
    problems.push(...orderProblems(root, fn, ids, sources.modprobe));
  }
  const override = sources.driverctl.get(fn.address);
  if (override) {
    driver = override;
    found.add(`/etc/driverctl.d/${fn.address}`);
  }
  for (const rule of sources.rules.filter(each => each.address === fn.address)) {
    if (!ruleMatches(rule, fn)) {
      problems.push(
        `${rule.file} is written for ${rule.conditions.vendor}:${rule.conditions.device} at this address`,
      );
      continue;
    }
    driver = rule.assignments.driver_override ?? driver;
    vfs = integer(rule.assignments.sriov_numvfs ?? null) ?? vfs;
    found.add(rule.file);
  }
  const stored = storedFor(fn, sources.desired, owner);
  if (stored) {
    found.add(desiredPath);
    const now = identify(root, fn);
    if (stored.identity && !sameDevice(stored.identity, now)) {
      problems.push(
        `stored for ${identityText(stored.identity)}, but ${identityText(now)} is there now: it will be left alone`,
      );
    } else {
      driver = stored.driver ?? driver;
      vfs = stored.count ?? vfs;
    }
  }
  const drift = driftOf(fn, { driver, vfs, exists: existsAfterBoot(fn, owner, sources) });
  if (found.size + problems.length === 0 && drift === null) return null;
  return { driver, vfs, sources: [...found], problems, drift };
}

/** Will the driver with the ids be there before the one that would take the device otherwise? */
function orderProblems(root: HostRoot, fn: PciFunction, ids: DeviceIds, modprobe: ModprobeConfig): string[] {
  const wanted = ids.driver.replaceAll('-', '_');
  const builtIn = readModule(root, wanted).state === 'built-in';
  if (builtIn) {
    if (ids.source === 'kernel command line') return [];
    return [`${ids.driver} is built into this kernel, which ignores ids in ${ids.source}`];
  }
  return fn.modules.flatMap(module => {
    if (readModule(root, module).state === 'built-in') {
      return [`${module} is built into this kernel and takes the device before ${ids.driver} can be loaded`];
    }
    const ordered =
      modprobe.softdeps.some(line => line.module === module && line.pre.includes(wanted)) ||
      modprobe.blacklist.some(line => line.module === module);
    return ordered
      ? []
      : [`nothing makes ${ids.driver} load before ${module}: the first one gets the device`];
  });
}

function ruleMatches(rule: AddressRule, fn: PciFunction): boolean {
  const same = (name: string, value: string): boolean => {
    const wanted = rule.conditions[name];
    return wanted === undefined || wanted.toLowerCase() === `0x${value}`;
  };
  return same('vendor', fn.vendor) && same('device', fn.device);
}

type Stored = {
  readonly identity: Identity | null;
  readonly driver: string | null;
  readonly count: number | null;
};

/** A VF is stored with its physical function, by index: its address follows from that one's. */
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

/** A virtual function is there only if its physical one is configured to have as many. */
function existsAfterBoot(fn: PciFunction, owner: PciFunction | undefined, sources: Sources): boolean {
  if (!owner) return true;
  const rules = sources.rules.filter(rule => rule.address === owner.address && ruleMatches(rule, owner));
  const counts = rules.map(rule => integer(rule.assignments.sriov_numvfs ?? null) ?? 0);
  const count = Math.max(sources.desired.sriov[owner.address]?.count ?? 0, ...counts);
  return owner.virtualFunctions.indexOf(fn.address) < count;
}

function driftOf(
  fn: PciFunction,
  next: { driver: string | null; vfs: number | null; exists: boolean },
): string | null {
  // That VFs go is said once, of the function they belong to; a guest's is worth a word of its own.
  if (!next.exists) return isParkingDriver(fn.driver) ? `${fn.driver} now, gone after a boot` : null;
  if (next.driver !== null && fn.driver !== next.driver) {
    return `${fn.driver ?? 'no driver'} now, ${next.driver} after a boot`;
  }
  if (next.driver === null && isParkingDriver(fn.driver)) {
    return `${fn.driver} now, the host's driver after a boot`;
  }
  const count = fn.virtualFunctions.length;
  return count === (next.vfs ?? 0) ? null : `${count} VFs now, ${next.vfs ?? 0} after a boot`;
}
