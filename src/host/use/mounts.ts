import type { HostRoot } from '../root.ts';
import { printable } from '../text.ts';

export type Mount = {
  /** `major:minor` of the file system's device; `0:n` if it has no single device. */
  readonly device: string;
  readonly point: string;
  readonly type: string;
  /** The mounted source: `/dev/sda1`, `tank/home`. */
  readonly source: string;
};

/** File systems mounted in this process's namespace (proc_pid_mountinfo(5)). */
export function readMounts(root: HostRoot): Mount[] {
  return (root.text('/proc/self/mountinfo', 16 << 20) ?? '').split('\n').flatMap(line => {
    const [before, after] = line.split(' - ') as [string, string | undefined];
    const [, , device, , point] = before.split(' ');
    const [type, source] = (after ?? '').split(' ');
    if (!device || !point || !type) return [];
    return [{ device, point: unescapePath(point), type, source: unescapePath(source ?? '') }];
  });
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
