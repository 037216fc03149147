import { type Desired, type DesiredVf, desiredPath } from '../../boot/desired.ts';
import type { Identity } from '../../boot/identity.ts';
import type { HostSurvey } from '../survey.ts';

export const udevPath = '/etc/udev/rules.d/90-vring-host.rules';

/**
 * The stored state as udev rules, for a host without systemd: devices get their driver_override before a driver is
 * loaded for them, and a physical function its VFs when its network interface appears. Null if nothing is stored.
 */
export function udevText(survey: HostSurvey, desired: Desired): string | null {
  const lines: string[] = [];
  for (const [address, { driver, identity }] of Object.entries(desired.devices)) {
    lines.push(overrideRule(address, identity, driver));
  }
  for (const [address, { count, identity, vfs }] of Object.entries(desired.sriov)) {
    lines.push(countRule(address, identity, count, vfs));
    const addresses = survey.byAddress.get(address)?.virtualFunctions ?? [];
    for (const [index, vf] of Object.entries(vfs)) {
      const vfAddress = addresses[Number(index)];
      const fn = vfAddress === undefined ? undefined : survey.byAddress.get(vfAddress);
      if (fn && vf.driver) lines.push(overrideRule(fn.address, fn, vf.driver));
    }
  }
  if (lines.length === 0) return null;
  return `# Written by vring from ${desiredPath}; regenerated when that changes (vring vfio, vring undo).\n${lines.join('\n')}\n`;
}

/** A device already bound to a driver from the initramfs is unbound and probed again. */
function overrideRule(address: string, ids: Pick<Identity, 'vendor' | 'device'>, driver: string): string {
  const device = `/sys/bus/pci/devices/${address}`;
  const commands = [
    `modprobe ${driver}`,
    `readlink ${device}/driver | grep -q /${driver}$ || echo ${address} > ${device}/driver/unbind`,
    `echo ${address} > /sys/bus/pci/drivers_probe`,
  ];
  return [
    'ACTION=="add", SUBSYSTEM=="pci"',
    `KERNEL=="${address}"`,
    `ATTR{vendor}=="0x${ids.vendor}"`,
    `ATTR{device}=="0x${ids.device}"`,
    `ATTR{driver_override}="${driver}"`,
    `RUN+="/bin/sh -c '${escapeRule(commands.join('; '))}'"`,
  ].join(', ');
}

function countRule(
  address: string,
  identity: Identity,
  count: number,
  vfs: Readonly<Record<string, DesiredVf>>,
): string {
  const settings = Object.entries(vfs).flatMap(([index, vf]) => {
    const words = settingWords(vf);
    return words.length === 0
      ? []
      : [`RUN+="/bin/sh -c 'ip link set dev %k vf ${index} ${words.join(' ')}'"`];
  });
  return [
    'ACTION=="add", SUBSYSTEM=="net"',
    `KERNELS=="${address}"`,
    `ATTRS{vendor}=="0x${identity.vendor}"`,
    `ATTRS{device}=="0x${identity.device}"`,
    `ATTR{device/sriov_numvfs}="${count}"`,
    ...settings,
  ].join(', ');
}

function settingWords({ attributes = {} }: DesiredVf): string[] {
  const { mac, vlan, qos, trust, spoofCheck, linkState, maxTxRate, minTxRate } = attributes;
  const flag = (value: boolean): string => (value ? 'on' : 'off');
  return [
    ...(mac === undefined ? [] : ['mac', mac]),
    ...(vlan === undefined ? [] : ['vlan', String(vlan), ...(qos === undefined ? [] : ['qos', String(qos)])]),
    ...(trust === undefined ? [] : ['trust', flag(trust)]),
    ...(spoofCheck === undefined ? [] : ['spoofchk', flag(spoofCheck)]),
    ...(linkState === undefined ? [] : ['state', linkState]),
    ...(maxTxRate === undefined ? [] : ['max_tx_rate', String(maxTxRate)]),
    ...(minTxRate === undefined ? [] : ['min_tx_rate', String(minTxRate)]),
  ];
}

/** In a rule's strings, a dollar sign begins a substitution (udev(7)). */
function escapeRule(text: string): string {
  return text.replaceAll('$', '$$$$');
}
