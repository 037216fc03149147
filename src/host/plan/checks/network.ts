import type { PciFunction } from '../../pci/function.ts';
import type { NetworkRole } from '../../use/network.ts';
import type { Check } from '../plan.ts';
import { type HostSurvey, hostUse } from '../survey.ts';
import { block, ok, type Subject, warn } from './check.ts';

const needed: ReadonlySet<NetworkRole['kind']> = new Set(['ssh', 'storage', 'default-route', 'upper']);

/** What the host's network would lose with the function's interfaces. */
export function networkCheck({ survey, fn }: Subject): Check[] {
  const { interfaces, hiddenInterface } = hostUse(survey, fn);
  const checks: Check[] = [];
  if (hiddenInterface) {
    const reason = 'its interface is in another network namespace, usually of a running container';
    checks.push(block('network', fn.address, reason));
  }
  for (const each of interfaces) {
    const blocking = each.roles.filter(role => needed.has(role.kind));
    const roles = blocking.length > 0 ? blocking : each.roles;
    if (roles.length === 0) {
      checks.push(ok('network', fn.address, `${each.name} has no addresses and nothing depends on it`));
      continue;
    }
    const reason = `${each.name} ${roles.map(roleText).join(', ')}`;
    checks.push(
      blocking.length > 0 ? block('network', fn.address, reason) : warn('network', fn.address, reason),
    );
  }
  return checks;
}

/**
 * Drivers reset the whole card for another number of VFs (igb, ixgbe, i40e, bnx2x), which takes its link down for
 * seconds.
 */
export function interruptionCheck(survey: HostSurvey, fn: PciFunction): Check[] {
  return hostUse(survey, fn).interfaces.flatMap(({ name, roles }) => {
    const concerned = roles.filter(role => role.kind !== 'upper' && needed.has(role.kind));
    if (concerned.length === 0) return [];
    const reason = `${name} ${concerned.map(roleText).join(', ')}: its link may be down for seconds while its driver changes the number of VFs`;
    return [warn('network', fn.address, reason)];
  });
}

/** `carries the default route to 192.0.2.1 as part of bond0 and br0`. */
function roleText(role: NetworkRole): string {
  const uppers = role.through.slice(1);
  return uppers.length === 0 || role.kind === 'upper'
    ? role.text
    : `${role.text} (through ${uppers.join(', ')})`;
}
