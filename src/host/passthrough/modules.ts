import { readKernelConfig } from '../doctor/kernel-config.ts';
import type { HostSurvey } from '../plan/survey.ts';
import { readModule } from '../vfio/modules.ts';
import type { ApiChoice } from './api.ts';
import type { Reason } from './assessment.ts';
import { block, ok } from './reason.ts';

/** The modules that map guest memory for DMA. */
export const BACKENDS = { group: 'vfio_iommu_type1', iommufd: 'iommufd' } as const;

/** The option of the kernel's configuration that builds each module. */
const OPTIONS: Readonly<Record<string, string>> = {
  vfio_pci: 'VFIO_PCI',
  vfio_iommu_type1: 'VFIO_IOMMU_TYPE1',
  iommufd: 'IOMMUFD',
};

/** The modules that a VM needs to open a device: built in, loaded, loadable, or absent. */
export function moduleReasons({ root }: HostSurvey, choices: readonly ApiChoice[]): Reason[] {
  const backends = new Set(choices.flatMap(({ chosen }) => (chosen === null ? [] : [BACKENDS[chosen]])));
  return ['vfio_pci', ...backends].map(name => {
    const { state } = readModule(root, name);
    if (state === 'loaded' || state === 'built-in') return ok('module', null, `${name} is ${state}`);
    if (state === 'available')
      return ok('module', null, `${name} is not loaded; it is loaded when it is needed`);
    const option = OPTIONS[name]!;
    const config = readKernelConfig(root)?.get(option);
    if (config === 'm') {
      const reason = `${name} is a module of this kernel (CONFIG_${option}=m), but its file is missing`;
      return block('module', null, reason, "install the kernel's full module package");
    }
    const why = readKernelConfig(root) === null ? '' : ` (CONFIG_${option} is not set)`;
    return block(
      'module',
      null,
      `this kernel has no ${name}${why}`,
      `install the kernel's full module package, or boot a kernel with CONFIG_${option}`,
    );
  });
}
