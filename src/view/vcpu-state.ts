import { vcpuStateName } from '../engine/sampling/names.ts';
import type { AppState } from '../store/app-store.ts';
import type { VcpuRow } from '../store/vcpu-rows.ts';
import { own } from '../text/own.ts';
import type { VcpuLabel } from '../vmm/machine/topology.ts';

const NONE: readonly VcpuLabel[] = [];

/** The vCPUs of a VM that may come and go. */
export function vcpuLabelsOf({ infos }: AppState, id: string): readonly VcpuLabel[] {
  return own(infos, id)?.topology?.vcpuLabels ?? NONE;
}

/** What a vCPU does, or what its guest has not done yet: to take it up, or to release it. */
export function vcpuStateText({ label, vcpu }: VcpuRow, labels: readonly VcpuLabel[]): string {
  const at = label === 'all' ? undefined : labels.find(({ index }) => index === vcpu.index);
  if (at?.removing !== undefined) return 'leaving';
  return at?.adding ? 'added' : vcpuStateName(vcpu.state);
}
