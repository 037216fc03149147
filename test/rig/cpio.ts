/** One member of an archive. A directory comes before its contents. */
export type CpioEntry = { readonly path: string } & (
  | { readonly kind: 'directory' }
  | { readonly kind: 'file'; readonly data: Uint8Array; readonly executable?: boolean }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'character-device'; readonly major: number; readonly minor: number }
);

const S_IFDIR = 0o040000;
const S_IFCHR = 0o020000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const TRAILER = 'TRAILER!!!';

/**
 * A "newc" archive, as Linux unpacks it into its initial root:
 * Documentation/driver-api/early-userspace/buffer-format.rst.
 */
export function cpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  for (const [index, entry] of entries.entries())
    parts.push(...member(entry.path, index + 1, contents(entry)));
  parts.push(...member(TRAILER, 0, { mode: 0, data: Buffer.alloc(0) }));
  return Buffer.concat(parts);
}

type Contents = { mode: number; data: Uint8Array; major?: number; minor?: number };

function contents(entry: CpioEntry): Contents {
  switch (entry.kind) {
    case 'directory':
      return { mode: S_IFDIR | 0o755, data: Buffer.alloc(0) };
    case 'file':
      return { mode: S_IFREG | (entry.executable ? 0o755 : 0o644), data: entry.data };
    case 'link':
      return { mode: S_IFLNK | 0o777, data: Buffer.from(entry.target) };
    case 'character-device':
      return { mode: S_IFCHR | 0o600, data: Buffer.alloc(0), major: entry.major, minor: entry.minor };
  }
}

function member(path: string, inode: number, { mode, data, major = 0, minor = 0 }: Contents): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, name.length, 0];
  const header = Buffer.from(`070701${fields.map(field => field.toString(16).padStart(8, '0')).join('')}`);
  return [header, name, padding(header.length + name.length), Buffer.from(data), padding(data.length)];
}

/** Headers and data start at multiples of four bytes. */
function padding(length: number): Buffer {
  return Buffer.alloc(-length & 3);
}
