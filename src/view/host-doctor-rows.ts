import type { Finding } from '../host/doctor/finding.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import { FINDING_ORDER } from './host-columns.ts';
import type { RowSource } from './host-lists.ts';
import type { DoctorRow } from './host-rows.ts';

/** Findings that need action come first. */
export const DOCTOR_FINDINGS: RowSource<DoctorRow> = {
  list: 'doctor',
  rows: ({ general: { diagnosis } }) =>
    [...(diagnosis?.findings ?? [])]
      .sort((a, b) => FINDING_ORDER.indexOf(a.state) - FINDING_ORDER.indexOf(b.state))
      .map(finding => ({ key: finding.id, address: null, finding })),
};

/** The number of findings in each state, for the header. */
export function doctorCounts(host: HostSnapshot): Readonly<Record<Finding['state'], number>> {
  const counts = { ok: 0, warn: 0, fail: 0, info: 0 };
  for (const { state } of host.general.diagnosis?.findings ?? []) counts[state]++;
  return counts;
}
