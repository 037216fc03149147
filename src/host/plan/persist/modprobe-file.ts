import { type Desired, desiredPath } from '../../boot/desired.ts';
import { identityText } from '../../boot/identity.ts';
import { matchesIds, readConfiguredIds } from '../../boot/ids.ts';
import { readModprobe } from '../../boot/modprobe.ts';
import type { PciFunction } from '../../pci/function.ts';
import type { HostRoot } from '../../root.ts';
import { readModule } from '../../vfio/modules.ts';
import type { HostSurvey } from '../survey.ts';

export const modprobePath = '/etc/modprobe.d/vring-vfio.conf';

/** Devices that a driver claims by ID when it loads, before host drivers. */
export type IdClaim = { readonly driver: string; readonly ids: string; readonly fn: PciFunction };

/**
 * The devices that can be claimed by ID: no function that stays with the host shares their IDs, and their own driver is not
 * built into the kernel.
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
export function modprobeText(desired: Desired, claims: readonly IdClaim[]): string | null {
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
    const modules = new Set(ofDriver.flatMap(claim => claim.fn.modules));
    for (const module of modules) lines.push(`softdep ${module} pre: ${driver}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Only one `ids=` per module takes effect: if another file sets it, leave it alone. */
function takesIds(root: HostRoot, driver: string): boolean {
  if (driver !== 'vfio-pci' && driver !== 'pci-stub') return false;
  if (readModule(root, driver).state === 'built-in') return false;
  return !readConfiguredIds(root, readModprobe(root)).some(
    ids => ids.driver === driver && ids.source !== modprobePath,
  );
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
