import { HostReadError, type HostRoot } from '../root.ts';

/**
 * A file that vring does not interpret but that may create VFs or bind drivers: it mentions them, or cannot be read.
 */
export type BootScript = {
  readonly file: string;
  /** Null if it cannot be read. */
  readonly text: string | null;
  readonly creates: 'vfs' | 'drivers' | 'both';
};

const FILES = [
  '/etc/rc.local',
  '/etc/rc.d/rc.local',
  '/etc/network/interfaces',
  '/etc/conf.d/net',
  '/sbin/ifup-local',
];
const PLACES: readonly (readonly [directory: string, suffix: string])[] = [
  ['/etc/systemd/system', '.service'],
  ['/usr/local/lib/systemd/system', '.service'],
  ['/etc/netplan', '.yaml'],
  ['/etc/nmstate', '.yml'],
  ['/etc/nmstate', '.yaml'],
  ['/etc/network/interfaces.d', ''],
  ['/etc/network/if-pre-up.d', ''],
  ['/etc/network/if-up.d', ''],
  ['/etc/NetworkManager/dispatcher.d', ''],
  ['/etc/NetworkManager/dispatcher.d/pre-up.d', ''],
  ['/etc/networkd-dispatcher/configuring.d', ''],
  ['/etc/networkd-dispatcher/carrier.d', ''],
  ['/etc/networkd-dispatcher/routable.d', ''],
  ['/etc/local.d', '.start'],
  ['/etc/init.d', ''],
  ['/etc/cron.d', ''],
  ['/etc/initramfs-tools/scripts/init-top', ''],
  ['/etc/initramfs-tools/scripts/init-premount', ''],
  ['/etc/initcpio/hooks', ''],
];

const CREATES_VFS = /sriov_numvfs|virtual-function-count|total-vfs/g;
const BINDS_DRIVERS = /driver_override|drivers\/(?:vfio-pci|pci-stub)|driverctl/g;
const ADDRESS = /^([0-9a-f]{4,}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

export function isBootScript(hostPath: string): boolean {
  return (
    FILES.includes(hostPath) ||
    PLACES.some(
      ([directory, suffix]) =>
        hostPath.startsWith(`${directory}/`) &&
        !hostPath.slice(directory.length + 1).includes('/') &&
        hostPath.endsWith(suffix),
    )
  );
}

/** Files that often create VFs or bind drivers: administrators' scripts, and configuration of network managers. */
export function readBootScripts(root: HostRoot): BootScript[] {
  const files = [...FILES, ...PLACES.flatMap(([directory, suffix]) => filesIn(root, directory, suffix))];
  return files.flatMap((file): BootScript[] => {
    const text = textOf(root, file);
    if (text === 'unreadable') return [{ file, text: null, creates: 'both' }];
    const [vfs, drivers] = [text.search(CREATES_VFS) >= 0, text.search(BINDS_DRIVERS) >= 0];
    if (vfs) return [{ file, text, creates: drivers ? 'both' : 'vfs' }];
    return drivers ? [{ file, text, creates: 'drivers' }] : [];
  });
}

/** A directory that cannot be read counts as such a file itself. */
function filesIn(root: HostRoot, directory: string, suffix: string): string[] {
  try {
    const names = (root.list(directory) ?? []).filter(name => name.endsWith(suffix));
    return names.map(name => `${directory}/${name}`);
  } catch (error) {
    if (error instanceof HostReadError) return [directory];
    throw error;
  }
}

function textOf(root: HostRoot, file: string): string | 'unreadable' {
  try {
    return root.text(file) ?? '';
  } catch (error) {
    if (!(error instanceof HostReadError)) throw error;
    // A directory or a link loop cannot run.
    return error.code === 'EISDIR' || error.code === 'ELOOP' ? '' : 'unreadable';
  }
}

/** Whether it names the address (with or without its domain) or an interface; an unreadable file may name any. */
export function mentions({ text }: BootScript, address: string, interfaces: readonly string[]): boolean {
  if (text === null) return true;
  const words = new Set(wordsOf(text));
  return [address, address.replace(/^0000:/, ''), ...interfaces].some(name => words.has(name));
}

/**
 * What a recording keeps of such a file: that it creates VFs or binds drivers, and the addresses and interfaces it
 * mentions. Everything else, such as Wi-Fi passwords in netplan files, is dropped; a file that does neither becomes
 * empty.
 * @param interfaces network interfaces of the host
 */
export function recordedBootScript(text: string, interfaces: ReadonlySet<string>): string {
  const keywords = new Set([...(text.match(CREATES_VFS) ?? []), ...(text.match(BINDS_DRIVERS) ?? [])]);
  if (keywords.size === 0) return '';
  const names = wordsOf(text).filter(word => ADDRESS.test(word) || interfaces.has(word));
  return [...keywords, ...new Set(names)].map(word => `${word}\n`).join('');
}

function wordsOf(text: string): string[] {
  return text.split(/[^\w.:-]+/).map(word => word.replace(/[.:]+$/, ''));
}
