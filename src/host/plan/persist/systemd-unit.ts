import path from 'node:path';
import { projectRoot } from '../../../project-root.ts';
import { desiredPath, hostService } from '../../boot/desired.ts';
import { shellText } from '../../text.ts';

export const unitPath = `/etc/systemd/system/${hostService}`;

/** Runs after udev has loaded the drivers and before networks and guests are set up. */
export function unitText(): string {
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
ExecStart=${shellText([program(), 'host', 'restore'])}

[Install]
WantedBy=multi-user.target
`;
}

/** This installation's command. */
function program(): string {
  return path.join(projectRoot(), 'bin/vring');
}
