import { HostReadError, type HostRoot } from '../root.ts';
import { configFiles } from './config-files.ts';

/**
 * A file that makes NetworkManager create VFs: `total-vfs` of a connection, `sriov-num-vfs` of a device
 * (NetworkManager.conf(5)).
 */
export type NetworkManagerFile = {
  readonly file: string;
  /** The interface it is for; null for any, or one identified otherwise. */
  readonly interfaceName: string | null;
};

export type NetworkManagerFiles = {
  readonly makers: readonly NetworkManagerFile[];
  /** Files and directories that this user may not read, since connections contain secrets. */
  readonly unreadable: readonly string[];
};

const PLACES: readonly (readonly [directories: readonly string[], suffix: string])[] = [
  [
    [
      '/etc/NetworkManager/system-connections',
      '/run/NetworkManager/system-connections',
      '/usr/lib/NetworkManager/system-connections',
    ],
    '',
  ],
  [
    [
      '/etc/NetworkManager/conf.d',
      '/run/NetworkManager/conf.d',
      '/var/lib/NetworkManager/conf.d',
      '/usr/lib/NetworkManager/conf.d',
    ],
    '.conf',
  ],
  // Read by the ifcfg-rh plugin.
  [['/etc/sysconfig/network-scripts'], ''],
];
const MAIN_CONFIG = '/etc/NetworkManager/NetworkManager.conf';

const CREATES_VFS = /^[ \t]*(total-vfs|sriov-num-vfs|SRIOV_TOTAL_VFS)[ \t]*=/m;
const INTERFACE = /^[ \t]*(?:interface-name|DEVICE)[ \t]*=[ \t]*["']?([^\s"';*?]+)["']?[ \t\r]*$/m;

export function isNetworkManagerFile(hostPath: string): boolean {
  return (
    hostPath === MAIN_CONFIG ||
    PLACES.some(([directories, suffix]) =>
      directories.some(directory => hostPath.startsWith(`${directory}/`) && hostPath.endsWith(suffix)),
    )
  );
}

/**
 * What a recording keeps of such a file: that it creates VFs, and for which interface. Everything else, such as Wi-Fi
 * keys and passwords, is dropped; a file that does not create VFs becomes empty.
 */
export function recordedNetworkManagerFile(text: string): string {
  const setting = CREATES_VFS.exec(text)?.[1];
  if (setting === undefined) return '';
  const name = INTERFACE.exec(text)?.[1];
  return `${setting}=\n${name === undefined ? '' : `interface-name=${name}\n`}`;
}

export function readNetworkManager(root: HostRoot): NetworkManagerFiles {
  const makers: NetworkManagerFile[] = [];
  const unreadable: string[] = [];
  const orUnreadable = <Value>(read: () => Value): Value | null => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof HostReadError)) throw error;
      unreadable.push(error.path);
      return null;
    }
  };
  const files = PLACES.flatMap(([directories, suffix]) => {
    const readable = directories.filter(directory => orUnreadable(() => root.list(directory)) !== null);
    return configFiles(root, readable, suffix);
  });
  for (const file of [MAIN_CONFIG, ...files]) {
    const text = orUnreadable(() => root.text(file));
    if (text === null || !CREATES_VFS.test(text)) continue;
    makers.push({ file, interfaceName: INTERFACE.exec(text)?.[1] ?? null });
  }
  return { makers, unreadable };
}
