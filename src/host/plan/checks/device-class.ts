import { classTraits } from '../../pci/class.ts';
import type { Check } from '../plan.ts';
import { staysWithHost } from '../survey.ts';
import { block, impossible, type Subject } from './check.ts';

/** Essential host devices, by exact class: a name that contains "memory" is not necessarily a memory controller. */
export function classCheck({ fn }: Subject): Check[] {
  const { critical } = classTraits(fn.class);
  if (critical === null) return [];
  if (staysWithHost(fn)) {
    const reason = `a ${critical} cannot be passed through: bind the devices behind it instead`;
    return [impossible('class', fn.address, reason)];
  }
  const article = /^[aeiouIS]/.test(critical) ? 'an' : 'a';
  return [block('class', fn.address, `it is ${article} ${critical}: the host needs it`)];
}
