import path from 'node:path';
import { projectRoot } from '../../../project-root.ts';
import { desiredPath, hostService } from '../../boot/desired.ts';

export const unitPath = `/etc/systemd/system/${hostService}`;

/** Runs after udev has loaded the drivers and before networks and guests are set up. */
export function unitText(command = program()): string {
  return `# Written by vring; removed when ${desiredPath} is.
[Unit]
Description=Restore PCI device drivers and virtual functions stored by vring
DefaultDependencies=no
ConditionPathExists=${desiredPath}
After=local-fs.target systemd-modules-load.service systemd-udev-trigger.service
Before=network-pre.target libvirtd.service shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStartPre=-udevadm settle --timeout=30
ExecStart=${execWord(command)} host restore

[Install]
WantedBy=multi-user.target
`;
}

/** A word of ExecStart= (systemd.service(5)): C-style escapes in double quotes, and % begins a specifier. */
function execWord(word: string): string {
  const text = word.replaceAll('%', '%%');
  return /^[\w./%+-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** This installation's command. */
function program(): string {
  return path.join(projectRoot(), 'bin/vring');
}
