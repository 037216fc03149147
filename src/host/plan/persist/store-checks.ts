import { findProgram, readDistribution } from '../../distribution.ts';
import type { HostRoot } from '../../root.ts';
import { lossAtBoot } from '../../use/mounts.ts';
import { impossible, warn } from '../checks/check.ts';
import type { Check } from '../plan.ts';

const generated: Readonly<Record<string, string>> = {
  nixos:
    'NixOS generates /etc/modprobe.d and its services from its configuration: put ids= in boot.extraModprobeConfig, or a service there that binds the device, and leave out --persist',
  guix: 'Guix generates its services from its configuration: add one there that binds the device, and leave out --persist',
};

/** Whether the stored state takes effect at the next boot. */
export function storeChecks(root: HostRoot): Check[] {
  const { id } = readDistribution(root);
  if (Object.hasOwn(generated, id)) return [impossible('boot', null, generated[id]!)];
  const loss = lossAtBoot(root, '/etc/vring');
  if (loss !== null) {
    const reason = `what --persist stores in /etc is not there at the next boot: ${loss}; leave it out, or make /etc writable and permanent`;
    return [impossible('boot', null, reason)];
  }
  if (findProgram(root, 'systemctl') === null && findProgram(root, 'udevadm') === null) {
    const reason =
      'neither systemd nor udev is on this host, so that nothing applies what is stored: have a start script run "vring host restore"';
    return [warn('boot', null, reason)];
  }
  return [];
}
