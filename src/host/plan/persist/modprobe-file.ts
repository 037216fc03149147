import { type Desired, desiredPath } from '../../boot/desired.ts';
import { identityText } from '../../boot/identity.ts';
import { matchesIds, readConfiguredIds } from '../../boot/ids.ts';
import { readModprobe } from '../../boot/modprobe.ts';
import type { PciFunction } from '../../pci/function.ts';
import type { HostRoot } from '../../root.ts';
import { readModule } from '../../vfio/modules.ts';
import type { HostSurvey } from '../survey.ts';

export const modprobePath = '/etc/modprobe.d/vring-vfio.conf';

/** Devices that a driver takes by their ids as soon as it is there, before a host driver has seen them. */
export type IdClaim = { readonly driver: string; readonly ids: string; readonly fn: PciFunction };

/**
 * The devices that can be claimed by ids: those whose ids no other function has that shall stay with the host, and
 * whose own driver does not come with the kernel itself.
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

/** The text of the file for these claims; null when there is nothing to say. */
export function modprobeText(desired: Desired, claims: readonly IdClaim[]): string | null {
  if (claims.length === 0) return null;
  const lines = [
    `# Written by vring from ${desiredPath}; it is written anew when that changes (vring vfio, vring undo).`,
    '# After an edit by hand the initramfs has to be updated.',
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

/** Of several `ids=` for one module only one counts: where somebody else has set it, it is not ours to use. */
function takesIds(root: HostRoot, driver: string): boolean {
  if (driver !== 'vfio-pci' && driver !== 'pci-stub') return false;
  if (readModule(root, driver).state === 'built-in') return false;
  return !readConfiguredIds(root, readModprobe(root)).some(
    ids => ids.driver === driver && ids.source !== modprobePath,
  );
}

/** A driver in the kernel itself is there before any module. */
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
