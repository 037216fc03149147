import { HostReadError, type HostRoot } from '../root.ts';
import { configFiles } from './config-files.ts';

/** A file that vring does not interpret but that may create VFs: it mentions them, or cannot be read (`text` is null). */
export type NetworkScript = { readonly file: string; readonly text: string | null };

const FILES = ['/etc/rc.local', '/etc/rc.d/rc.local', '/etc/network/interfaces'];
const PLACES: readonly (readonly [directory: string, suffix: string])[] = [
  ['/etc/systemd/system', '.service'],
  ['/etc/netplan', '.yaml'],
  ['/etc/network/interfaces.d', ''],
];

const CREATES_VFS = /sriov_numvfs|virtual-function-count/g;
const ADDRESS = /^([0-9a-f]{4,}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

export function isNetworkScript(hostPath: string): boolean {
  return (
    FILES.includes(hostPath) ||
    PLACES.some(([directory, suffix]) => hostPath.startsWith(`${directory}/`) && hostPath.endsWith(suffix))
  );
}

/** Files that often create VFs: scripts of administrators, and configuration of network managers. */
export function readNetworkScripts(root: HostRoot): NetworkScript[] {
  const files = [
    ...FILES,
    ...PLACES.flatMap(([directory, suffix]) => configFiles(root, [directory], suffix)),
  ];
  return files
    .map(file => ({ file, text: textOf(root, file) }))
    .filter(({ text }) => text === null || text.search(CREATES_VFS) >= 0)
    .filter(({ file, text }) => text !== null || root.exists(file));
}

function textOf(root: HostRoot, file: string): string | null {
  try {
    return root.text(file);
  } catch (error) {
    if (error instanceof HostReadError) return null;
    throw error;
  }
}

/** By address, with or without its domain, or by an interface name; an unreadable file may mention any. */
export function mentions({ text }: NetworkScript, address: string, interfaces: readonly string[]): boolean {
  if (text === null) return true;
  const words = new Set(wordsOf(text));
  return [address, address.replace(/^0000:/, ''), ...interfaces].some(name => words.has(name));
}

/**
 * What a recording keeps of such a file: that it creates VFs, and the addresses and interfaces it mentions. All else, such
 * as Wi-Fi passwords in netplan files, is dropped; nothing is left of a file that does not create VFs.
 * @param interfaces network interfaces of the host
 */
export function recordedNetworkScript(text: string, interfaces: ReadonlySet<string>): string {
  const keywords = new Set(text.match(CREATES_VFS) ?? []);
  if (keywords.size === 0) return '';
  const names = wordsOf(text).filter(word => ADDRESS.test(word) || interfaces.has(word));
  return [...keywords, ...new Set(names)].map(word => `${word}\n`).join('');
}

function wordsOf(text: string): string[] {
  return text.split(/[^\w.:-]+/).map(word => word.replace(/[.:]+$/, ''));
}
