import type { NetworkRole } from '../../use/network.ts';
import type { Check } from '../plan.ts';
import { hostUse } from '../survey.ts';
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

/** `carries the default route to 192.0.2.1 as part of bond0 and br0`. */
function roleText(role: NetworkRole): string {
  const uppers = role.through.slice(1);
  return uppers.length === 0 || role.kind === 'upper'
    ? role.text
    : `${role.text} (through ${uppers.join(', ')})`;
}
