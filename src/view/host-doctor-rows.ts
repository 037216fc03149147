import type { Finding } from '../host/doctor/finding.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import { nameFilter } from './filter.ts';

export type DoctorRow = { readonly key: string; readonly address: null; readonly finding: Finding };

/** What needs doing comes first. */
const ORDER: readonly Finding['state'][] = ['fail', 'warn', 'ok', 'info'];

export function doctorRows(host: HostSnapshot, filter: string): readonly DoctorRow[] {
  const lets = nameFilter(filter);
  return [...(host.general.diagnosis?.findings ?? [])]
    .filter(({ id, state, title, why }) => lets(`${id} ${state} ${title} ${why}`))
    .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state))
    .map(finding => ({ key: finding.id, address: null, finding }));
}

/** How many findings are in each state, for the header. */
export function doctorCounts(host: HostSnapshot): Readonly<Record<Finding['state'], number>> {
  const counts = { ok: 0, warn: 0, fail: 0, info: 0 };
  for (const { state } of host.general.diagnosis?.findings ?? []) counts[state]++;
  return counts;
}
