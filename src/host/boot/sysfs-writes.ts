import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { type ConfigLine, configLines, configText, fileLines } from './config-files.ts';
import { globMatches } from './glob.ts';

/** A value that is written to a file in sysfs at every boot, by systemd-tmpfiles or the sysfsutils service. */
export type SysfsWrite = ConfigLine & {
  /** May be a pattern. */
  readonly path: string;
  readonly value: string;
};

export const tmpfilesDirectories = [
  '/etc/tmpfiles.d',
  '/run/tmpfiles.d',
  '/usr/local/lib/tmpfiles.d',
  '/usr/lib/tmpfiles.d',
] as const;

const sysfsConfig = '/etc/sysfs.conf';
const sysfsDirectory = '/etc/sysfs.d';

/** The attributes that matter here: other lines may contain secrets, and are not recorded either. */
const ATTRIBUTES = /\b(driver_override|sriov_numvfs)\b/;

export function isSysfsWritesFile(hostPath: string): boolean {
  return (
    hostPath === sysfsConfig ||
    [...tmpfilesDirectories, sysfsDirectory].some(directory => hostPath.startsWith(`${directory}/`))
  );
}

/** The lines of such a file that matter. */
export function recordedSysfsWrites(text: string): string {
  return text
    .split('\n')
    .filter(line => ATTRIBUTES.test(line) && !line.trimStart().startsWith('#'))
    .map(line => `${line}\n`)
    .join('');
}

export function readSysfsWrites(root: HostRoot): SysfsWrite[] {
  const tmpfiles = configLines(root, tmpfilesDirectories, '.conf').flatMap(line => {
    // w+ /sys/class/net/eth0/device/sriov_numvfs - - - - 4 (tmpfiles.d(5))
    const [, path, value] = /^w[+!~^$=-]*\s+("[^"]+"|\S+)(?:\s+\S+){4}\s+(.*)$/.exec(line.text) ?? [];
    return path === undefined ? [] : [{ ...line, path: path.replaceAll('"', ''), value: value!.trim() }];
  });
  const sysfs = [
    ...fileLines(sysfsConfig, configText(root, sysfsConfig) ?? ''),
    ...configLines(root, [sysfsDirectory], '.conf'),
  ].flatMap(line => {
    // bus/pci/devices/0000:01:00.0/sriov_numvfs = 4 (sysfs.conf(5))
    const [, path, value] = /^(?!mode|owner)(\S+)\s*=\s*(.*)$/.exec(line.text) ?? [];
    return path === undefined
      ? []
      : [{ ...line, path: `/sys/${path.replace(/^\/?(sys\/)?/, '')}`, value: value!.trim() }];
  });
  return [...tmpfiles, ...sysfs].filter(write => ATTRIBUTES.test(write.path));
}

/** The writes to an attribute of a function, in order. */
export function writesTo(
  root: HostRoot,
  fn: PciFunction,
  attribute: string,
  writes: readonly SysfsWrite[],
): SysfsWrite[] {
  const interfaces = root.list(`${fn.path}/net`) ?? [];
  const paths = [
    `/sys/bus/pci/devices/${fn.address}/${attribute}`,
    `${fn.path}/${attribute}`,
    ...(fn.driver === null ? [] : [`/sys/bus/pci/drivers/${fn.driver}/${fn.address}/${attribute}`]),
    ...interfaces.map(name => `/sys/class/net/${name}/device/${attribute}`),
  ];
  return writes.filter(write => paths.some(path => globMatches(write.path, path)));
}
