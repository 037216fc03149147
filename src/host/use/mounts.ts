import type { HostRoot } from '../root.ts';
import { printable } from '../text.ts';

export type Mount = {
  /** `major:minor` of the file system's device; `0:n` if it has no single device. */
  readonly device: string;
  readonly point: string;
  readonly type: string;
  /** The mounted source: `/dev/sda1`, `tank/home`. */
  readonly source: string;
  /** Of this mount; the file system may be mounted for writing elsewhere. */
  readonly readOnly: boolean;
  /** Of the file system: `upperdir=/run/overlay/rw`, `addr=192.0.2.1`. */
  readonly options: readonly string[];
};

/** File systems mounted in this process's namespace (proc_pid_mountinfo(5)). */
export function readMounts(root: HostRoot): Mount[] {
  return (root.text('/proc/self/mountinfo', 16 << 20) ?? '').split('\n').flatMap(line => {
    const [before, after] = line.split(' - ') as [string, string | undefined];
    const [, , device, , point, flags = ''] = before.split(' ');
    const [type, source, options = ''] = (after ?? '').split(' ');
    if (!device || !point || !type) return [];
    return [
      {
        device,
        point: unescapePath(point),
        type,
        source: unescapePath(source ?? ''),
        readOnly: flags.split(',').includes('ro'),
        options: options.split(',').map(unescapePath),
      },
    ];
  });
}

/** The mount that a path is on: the innermost one; of several at the same place, the last. Null if not known. */
export function mountOf(root: HostRoot, path: string): Mount | null {
  const around = readMounts(root).filter(
    ({ point }) => point === '/' || path === point || path.startsWith(`${point}/`),
  );
  return around.reduce<Mount | null>(
    (inner, mount) => (inner === null || mount.point.length >= inner.point.length ? mount : inner),
    null,
  );
}

const IN_MEMORY = new Set(['tmpfs', 'ramfs', 'rootfs']);

/** Why writes to a path do not survive a reboot, as far as its mount shows; null if they do. */
export function lossAtBoot(root: HostRoot, path: string): string | null {
  const mount = mountOf(root, path);
  if (mount === null) return null;
  if (mount.readOnly) return `${mount.point} is mounted read-only`;
  if (IN_MEMORY.has(mount.type)) return `${mount.point} is in memory (${mount.type})`;
  const upper = mount.options.find(option => option.startsWith('upperdir='))?.slice('upperdir='.length);
  const below = mount.type === 'overlay' && upper !== undefined ? mountOf(root, upper) : null;
  // The upper directory of a live system may be at a path that is no longer visible.
  return below !== null && below.point !== mount.point && IN_MEMORY.has(below.type)
    ? `the changes to ${mount.point} are in memory (${below.type})`
    : null;
}

/** Paths of active swap areas: `/dev/dm-1`, or a file. */
export function readSwaps(root: HostRoot): string[] {
  const lines = (root.text('/proc/swaps') ?? '').split('\n').slice(1);
  return lines.map(line => unescapePath(line.split(/\s+/)[0] ?? '')).filter(Boolean);
}

/** Decodes blanks and backslashes, which are escaped as three octal digits. */
function unescapePath(text: string): string {
  return printable(
    text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
  );
}
