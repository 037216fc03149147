import { type Distribution, readDistribution } from '../distribution.ts';
import type { HostRoot } from '../root.ts';
import type { Finding } from './finding.ts';
import { iommuFindings } from './iommu.ts';
import { kernelFindings } from './kernel-config.ts';
import { kvmFindings } from './kvm.ts';
import { memoryFindings } from './memory.ts';
import { processorFindings, readCpu } from './processor.ts';
import { softwareFindings } from './software.ts';
import { vfioFindings } from './vfio.ts';

export type Diagnosis = { readonly distribution: Distribution; readonly findings: readonly Finding[] };

/** Everything on the host that affects running guests and device passthrough. */
export function diagnose(root: HostRoot): Diagnosis {
  const cpu = readCpu(root);
  const distribution = readDistribution(root);
  return {
    distribution,
    findings: [
      ...processorFindings(root, cpu),
      ...kvmFindings(root, cpu),
      ...iommuFindings(root, cpu),
      ...vfioFindings(root),
      ...kernelFindings(root, cpu),
      ...memoryFindings(root),
      ...softwareFindings(root, distribution),
    ],
  };
}
