import { shellText } from '../../../text/shell.ts';
import { readDistribution } from '../../distribution.ts';
import { kernelParameters, parameterValues } from '../../kernel-cmdline.ts';
import type { HostRoot } from '../../root.ts';
import type { ParameterRequest } from '../kernel-words.ts';
import { ManualStepError, requestText } from '../line-edit.ts';
import type { BootEvidence } from './evidence.ts';

/** Systems that generate their whole boot configuration, so that an edit would not persist. */
export function declarativeSystems(root: HostRoot, _: BootEvidence, request: ParameterRequest): null {
  const { id } = readDistribution(root);
  const quoted = request.add.map(word => `"${word}"`).join(' ');
  if (id === 'nixos') {
    const step = `add boot.kernelParams = [ ${quoted} ]; to its configuration and run nixos-rebuild boot`;
    throw new ManualStepError('NixOS generates its boot entries from its configuration', step);
  }
  if (id === 'guix') {
    const step = `add (kernel-arguments (cons* ${quoted} %default-kernel-arguments)) to the operating-system and run guix system reconfigure`;
    throw new ManualStepError('Guix generates its boot entries from its configuration', step);
  }
  if (parameterValues(kernelParameters(root), 'snapd_recovery_mode').length > 0) {
    const setting = `system.kernel.append=${request.add.join(' ')}`;
    const step = shellText(['snap', 'set', 'system', setting]);
    throw new ManualStepError('Ubuntu Core gets its kernel command line from snapd', step);
  }
  return null;
}

type Known = { readonly name: string; readonly files: readonly string[]; readonly step: string };

const known: readonly Known[] = [
  {
    name: 'ZFSBootMenu',
    files: ['/etc/zfsbootmenu/config.yaml'],
    step: 'org.zfsbootmenu:commandline of the boot environment (zfs set)',
  },
  { name: 'rEFInd', files: ['/boot/refind_linux.conf'], step: 'the strings in /boot/refind_linux.conf' },
  {
    name: 'Limine',
    files: ['/boot/limine.conf', '/boot/limine/limine.conf', '/efi/limine.conf'],
    step: 'the cmdline lines of limine.conf',
  },
  {
    name: 'U-Boot',
    files: ['/etc/default/u-boot'],
    step: 'U_BOOT_PARAMETERS in /etc/default/u-boot, then run u-boot-update',
  },
  {
    name: 'extlinux',
    files: ['/boot/extlinux/extlinux.conf', '/boot/extlinux.conf', '/extlinux.conf'],
    step: 'the append lines of extlinux.conf',
  },
  {
    name: 'SYSLINUX',
    files: ['/boot/syslinux/syslinux.cfg', '/boot/isolinux/isolinux.cfg'],
    step: 'the append lines of syslinux.cfg',
  },
  { name: 'LILO', files: ['/etc/lilo.conf'], step: 'the append line in /etc/lilo.conf, then run lilo' },
];

/** Every other host: names the boot loader as far as it is known. @throws always */
export function otherLoaders(root: HostRoot, evidence: BootEvidence, request: ParameterRequest): never {
  const found = known.find(each => each.files.some(path => root.exists(path)));
  if (found !== undefined) {
    throw new ManualStepError(
      `vring does not edit the configuration of ${found.name}`,
      `add ${requestText(request)} to ${found.step}`,
    );
  }
  const step = `add ${requestText(request)} to the kernel command line`;
  const name = evidence.name ?? 'an unknown program';
  if (evidence.booted === 'systemd-boot') {
    throw new ManualStepError(
      `${name} booted this host, but none of its boot entries was found (is the EFI partition mounted?)`,
      step,
    );
  }
  // A firmware boot entry that contains the parameters.
  if (evidence.booted === 'other' && /vmlinu|bzimage|\\linux/i.test(name)) {
    const own = `create a boot entry with ${requestText(request)}: efibootmgr --create ... --unicode`;
    throw new ManualStepError(`the firmware starts the kernel ${name} directly`, own);
  }
  if (evidence.booted === 'other')
    throw new ManualStepError(`${name} booted this host, and vring does not edit its configuration`, step);
  throw new ManualStepError('vring does not support the boot loader of this host', step);
}
