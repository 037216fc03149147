import { sumOfHistograms } from '../engine/sampling/histogram.ts';
import type { ExitRate, RegionRates, VcpuRates, VmDetail } from '../engine/sampling/rates.ts';

/** The vCPU rows of a VM: if there are several, their sum comes first. */
export function vcpuRows(rates: VmDetail): readonly VcpuRow[] {
  const each = rates.vcpus.map(vcpu => ({ label: String(vcpu.index), vcpu }));
  return each.length > 1 ? [{ label: 'all', vcpu: sumOf(rates.vcpus) }, ...each] : each;
}

export type VcpuRow = { readonly label: string; readonly vcpu: VcpuRates };

/** The vCPU row under the cursor. */
export function vcpuAt(rates: VmDetail, cursor: number): VcpuRow | null {
  const rows = vcpuRows(rates);
  return rows[Math.min(cursor, rows.length - 1)] ?? null;
}

/** Ranges accessed since the baseline, the most expensive first. */
export function regionRows(rates: VmDetail): readonly RegionRates[] {
  return rates.regions
    .filter(region => region.total > 0)
    .sort((a, b) => b.share - a.share || b.total - a.total);
}

/** All vCPUs as one: counts added up, shares of time averaged. */
function sumOf(vcpus: readonly VcpuRates[]): VcpuRates {
  const mean = (share: (vcpu: VcpuRates) => number) =>
    vcpus.reduce((sum, vcpu) => sum + share(vcpu), 0) / vcpus.length;
  const byReason = new Map<number, ExitRate>();
  for (const { exits } of vcpus) {
    for (const exit of exits) {
      const sum = byReason.get(exit.reason);
      byReason.set(exit.reason, {
        reason: exit.reason,
        total: exit.total + (sum?.total ?? 0),
        perSecond: exit.perSecond + (sum?.perSecond ?? 0),
        share: exit.share / vcpus.length + (sum?.share ?? 0),
      });
    }
  }
  return {
    index: -1,
    state: vcpus.every(vcpu => vcpu.state === vcpus[0]!.state) ? vcpus[0]!.state : null,
    thread: null,
    hostCpu: null,
    exitsPerSecond: vcpus.reduce((sum, vcpu) => sum + vcpu.exitsPerSecond, 0),
    time: {
      guest: mean(vcpu => vcpu.time.guest),
      kvm: mean(vcpu => vcpu.time.kvm),
      devices: mean(vcpu => vcpu.time.devices),
    },
    exits: [...byReason.values()].sort((a, b) => b.total - a.total || a.reason - b.reason),
    latency: sumOfHistograms(vcpus.map(vcpu => vcpu.latency)),
  };
}
