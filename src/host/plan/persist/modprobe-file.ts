import path from 'node:path';
import { unreadableConfig } from '../../boot/config-files.ts';
import { type Desired, desiredPath } from '../../boot/desired.ts';
import { identityText } from '../../boot/identity.ts';
import { matchesIds, readConfiguredIds } from '../../boot/ids.ts';
import { readModprobe, type Softdep, softdepOf } from '../../boot/modprobe.ts';
import type { PciFunction } from '../../pci/function.ts';
import type { HostRoot } from '../../root.ts';
import { keyValues } from '../../text.ts';
import { readModule } from '../../vfio/modules.ts';
import type { HostSurvey } from '../survey.ts';

export const modprobePath = '/etc/modprobe.d/vring-vfio.conf';

/** Devices that a driver claims by ID when it loads, before host drivers. */
export type IdClaim = { readonly driver: string; readonly ids: string; readonly fn: PciFunction };

/**
 * The devices that can be claimed by ID: no function that stays with the host shares their IDs, and their own driver is
 * not built into the kernel.
 */
export function idClaims(survey: HostSurvey, desired: Desired): IdClaim[] {
  return Object.entries(desired.devices).flatMap(([address, { driver, identity }]) => {
    const fn = survey.byAddress.get(address);
    if (!fn || fn.vendor !== identity.vendor || fn.device !== identity.device) return [];
    if (!takesIds(survey.root, driver) || !hostDriverWaits(survey.root, fn, driver)) return [];
    const ids = uniqueIds(survey, desired, fn, driver);
    return ids === null ? [] : [{ driver, ids, fn }];
  });
}

/** The modprobe.d file for these claims; null if there are none. */
export function modprobeText(root: HostRoot, desired: Desired, claims: readonly IdClaim[]): string | null {
  if (claims.length === 0) return null;
  const lines = [
    `# Written by vring from ${desiredPath}; regenerated when that changes (vring vfio, vring undo).`,
    '# After a manual edit, rebuild the initramfs.',
  ];
  for (const [driver, ofDriver] of Map.groupBy(claims, claim => claim.driver)) {
    for (const { fn } of ofDriver)
      lines.push(`# ${fn.address} ${identityText(desired.devices[fn.address]!.identity)}`);
    const ids = [...new Set(ofDriver.map(claim => claim.ids))];
    lines.push(`options ${driver} ids=${ids.join(',')}`);
    lines.push(...orderLines(root, driver, ofDriver));
  }
  return `${lines.join('\n')}\n`;
}

/**
 * Lines that make the driver load before those of the host. modprobe uses only the first `softdep` for a module: if an
 * earlier file has one, only an alias of the device remains, and what this file masks is repeated.
 */
function orderLines(root: HostRoot, driver: string, claims: readonly IdClaim[]): string[] {
  const softdeps = readModprobe(root).softdeps.filter(line => line.file !== modprobePath);
  const lines: string[] = [];
  const own = path.posix.basename(modprobePath);
  const isFirst = (line: Softdep): boolean =>
    line.file.includes('/modprobe.d/') && path.posix.basename(line.file) < own;
  const modules = new Set(claims.flatMap(claim => claim.fn.modules));
  const masked = new Set<string>();
  for (const module of modules) {
    const other = softdepOf({ softdeps }, module);
    if (other !== null && isFirst(other) && !other.pre.includes(driver.replaceAll('-', '_')))
      masked.add(module);
    else lines.push(softdepLine(module, driver, other));
  }
  for (const { fn } of claims.filter(claim => claim.fn.modules.some(module => masked.has(module)))) {
    const alias = keyValues(root.attribute(`${fn.path}/uevent`) ?? '').get('MODALIAS');
    if (alias !== undefined) lines.push(`alias ${alias} ${driver}`);
  }
  return lines;
}

function softdepLine(module: string, driver: string, other: Softdep | null): string {
  const name = driver.replaceAll('-', '_');
  const pre = [driver, ...(other?.pre ?? []).filter(each => each !== name)];
  const post = other === null || other.post.length === 0 ? '' : ` post: ${other.post.join(' ')}`;
  return `softdep ${module} pre: ${pre.join(' ')}${post}`;
}

/** Only one `ids=` per module takes effect: if another file sets it, leave it alone. */
function takesIds(root: HostRoot, driver: string): boolean {
  if (driver !== 'vfio-pci' && driver !== 'pci-stub') return false;
  if (readModule(root, driver).state === 'built-in') return false;
  const ids = readConfiguredIds(root, readModprobe(root));
  // A file that cannot be read may set them.
  if (unreadableConfig(root).some(file => file.includes('/modprobe.d'))) return false;
  return !ids.some(each => each.driver === driver && each.source !== modprobePath);
}

/** A built-in driver comes before any module. */
function hostDriverWaits(root: HostRoot, fn: PciFunction, driver: string): boolean {
  const own = driver.replaceAll('-', '_');
  return fn.modules.every(module => module === own || readModule(root, module).state !== 'built-in');
}

function uniqueIds(survey: HostSurvey, desired: Desired, fn: PciFunction, driver: string): string | null {
  const plain = `${fn.vendor}:${fn.device}`;
  const candidates = [
    plain,
    ...(fn.subsystemVendor === null ? [] : [`${plain}:${fn.subsystemVendor}:${fn.subsystemDevice}`]),
  ];
  const wanted = (other: PciFunction): boolean => desired.devices[other.address]?.driver === driver;
  return (
    candidates.find(ids => survey.functions.filter(other => matchesIds(other, ids)).every(wanted)) ?? null
  );
}
