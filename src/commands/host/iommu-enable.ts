import { iommuActive, iommuParameters } from '../../host/doctor/iommu.ts';
import { readCpu } from '../../host/doctor/processor.ts';
import { planKernelParameters } from '../../host/plan/kernel-parameters.ts';
import type { HostRoot } from '../../host/root.ts';
import { type ChangeContext, type ChangeOptions, carryOut, systemContext } from './change.ts';

/** `vring iommu enable`: `intel_iommu=on iommu=pt`, or `iommu=pt` for AMD, with the boot loader of this host. */
export async function enableIommu(
  root: HostRoot,
  options: ChangeOptions,
  context: ChangeContext = systemContext(root, options),
): Promise<number> {
  const makePlan = () => {
    const plan = planKernelParameters(root, iommuParameters(root, readCpu(root)));
    const already = iommuActive(root) ? ['the IOMMU is already enabled'] : [];
    return { ...plan, notes: [...already, ...plan.notes] };
  };
  return await carryOut(makePlan, options, context);
}
