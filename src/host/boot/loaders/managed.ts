import { shellText } from '../../../text/shell.ts';
import { findProgram, readDistribution } from '../../distribution.ts';
import { kernelParameters, parameterValues } from '../../kernel-cmdline.ts';
import type { HostRoot } from '../../root.ts';
import type { ParameterRequest } from '../kernel-words.ts';
import { ManualStepError, requestText } from '../line-edit.ts';
import type { BootEvidence } from './evidence.ts';

type Managed = {
  /** Whether this is such a host. */
  readonly is: (root: HostRoot) => boolean;
  readonly reason: string;
  readonly step: (request: ParameterRequest) => string;
};

const isDistribution =
  (id: string) =>
  (root: HostRoot): boolean =>
    readDistribution(root).id === id;

/** A word of /proc/cmdline, such as `boot=live`. */
const wasStartedWith =
  (name: string, ...values: readonly string[]) =>
  (root: HostRoot): boolean => {
    const found = parameterValues(kernelParameters(root), name);
    return values.length === 0 ? found.length > 0 : found.some(value => values.includes(value));
  };

function schemeList(request: ParameterRequest): string {
  return request.add.map(word => `"${word}"`).join(' ');
}

/** Systems that generate their whole boot configuration, so that an edit would not persist. */
const systems: readonly Managed[] = [
  {
    is: isDistribution('nixos'),
    reason: 'NixOS generates its boot entries from its configuration',
    step: request =>
      `add boot.kernelParams = [ ${schemeList(request)} ]; to its configuration and run nixos-rebuild boot`,
  },
  {
    is: isDistribution('guix'),
    reason: 'Guix generates its boot entries from its configuration',
    step: request =>
      `add (kernel-arguments (cons* ${schemeList(request)} %default-kernel-arguments)) to the operating-system and run guix system reconfigure`,
  },
  {
    is: wasStartedWith('snapd_recovery_mode'),
    reason: 'Ubuntu Core gets its kernel command line from snapd',
    step: request => shellText(['snap', 'set', 'system', `system.kernel.append=${request.add.join(' ')}`]),
  },
  {
    is: isDistribution('talos'),
    reason: 'Talos generates its boot entries from its machine configuration',
    step: request =>
      `add ${requestText(request)} to machine.install.extraKernelArgs, or to the extra kernel arguments of the image, then run talosctl upgrade`,
  },
  {
    // Its middleware writes /etc/default/grub.d/truenas.cfg at each update.
    is: root => findProgram(root, 'midclt') !== null,
    reason: 'TrueNAS generates the configuration of GRUB from its own settings',
    step: request =>
      shellText([
        'midclt',
        'call',
        'system.advanced.update',
        JSON.stringify({ kernel_extra_options: request.add.join(' ') }),
      ]),
  },
  {
    is: isDistribution('vyos'),
    reason: 'VyOS generates the configuration of GRUB for each of its images',
    step: request => `add ${requestText(request)} with set system option kernel, or in the menu of GRUB`,
  },
  {
    is: root => /control_d/.test(readXenCapabilities(root)),
    reason:
      'the Xen hypervisor started this kernel and owns the IOMMU, so that neither KVM nor VFIO works here',
    step: () => 'boot the kernel without Xen, then run vring iommu enable again',
  },
  {
    is: root =>
      wasStartedWith('boot', 'live', 'casper')(root) ||
      wasStartedWith('rd.live.image')(root) ||
      wasStartedWith('archisobasedir')(root),
    reason: 'this is a live system, whose command line is on the medium that it was started from',
    step: request => `add ${requestText(request)} in the boot menu of the medium, or install the system`,
  },
];

/** @throws ManualStepError on such a system */
export function managedSystems(root: HostRoot, _: BootEvidence, request: ParameterRequest): null {
  const found = systems.find(system => system.is(root));
  if (found !== undefined) throw new ManualStepError(found.reason, found.step(request));
  return null;
}

/** The privileged domain of Xen has `control_d`. */
function readXenCapabilities(root: HostRoot): string {
  return root.attribute('/proc/xen/capabilities') ?? '';
}
