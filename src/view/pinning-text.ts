import type { Topology } from '../vmm/machine/topology.ts';

/** Which host CPUs a VM's vCPUs stay on: `vCPU 0 to CPU 2, 1 to 3`; empty when they may run anywhere. */
export function pinningText(topology: Topology | null): string {
  const pairs = (topology?.pinning ?? []).map((cpu, vcpu) =>
    vcpu === 0 ? `vCPU 0 to CPU ${cpu}` : `${vcpu} to ${cpu}`,
  );
  return pairs.join(', ');
}
