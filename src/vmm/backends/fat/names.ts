import { DiskError } from '../disk-error.ts';

/** Bytes of a directory entry, and of the name in it (Microsoft, "FAT: General Overview of On-Disk Format", 1.03). */
export const ENTRY = 32;
export const SHORT_NAME = 11;
/** Entries of a directory: 2 MiB. */
export const MAX_DIRECTORY_ENTRIES = 65536;

const LONG_NAME = 0x0f;
const LAST_PART = 0x40;
/** UTF-16 units: in one entry, and in all of a name. */
const PART = 13;
const MAX_NAME = 255;
/** Where an entry has the units of its part: the first five, six more, and the last two. */
const UNIT_OFFSETS = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30] as const;

const SHORT = /^([A-Z0-9!#$%&'()@^_`{}~-]{1,8})(?:\.([A-Z0-9!#$%&'()@^_`{}~-]{1,3}))?$/;
const NOT_SHORT = /[^A-Z0-9!#$%&'()@^_`{}~-]/g;
const FORBIDDEN = /[\x00-\x1f\x7f"*/:<>?\\|]|[. ]$/;

/** Names handled per step. */
const STEP_NAMES = 256;

/**
 * The 8.3 names of a folder's entries, in 11 bytes each, by their long names, after short steps.
 * @param folder its path, for errors
 * @throws DiskError for names that FAT does not have, and for those that differ only in case
 */
export function* shortNames(
  names: readonly string[],
  folder: string,
): Generator<void, ReadonlyMap<string, Buffer>> {
  const byUpper = new Map<string, string>();
  for (const name of names) {
    if (byUpper.size % STEP_NAMES === 0) yield;
    if (FORBIDDEN.test(name) || name.length > MAX_NAME)
      throw new DiskError(`${folder}/${name}: a FAT file system cannot have this name: rename the file`);
    const upper = upperCase(name);
    const same = byUpper.get(upper);
    if (same !== undefined)
      throw new DiskError(
        `${folder}/${name} and ${same} differ only in case, which a FAT file system ignores: rename one of them`,
      );
    byUpper.set(upper, name);
  }
  // Names that need no tail come first: another's tail must not make it equal to one of them.
  const taken = new Set([...byUpper.keys()].filter(upper => SHORT.test(upper)));
  const nextTail = new Map<string, number>();
  const shorts = new Map<string, Buffer>();
  for (const [upper, name] of byUpper) {
    shorts.set(name, padded(SHORT.test(upper) ? upper : tailed(upper, taken, nextTail)));
    if (shorts.size % STEP_NAMES === 0) yield;
  }
  return shorts;
}

/**
 * A name as it is compared: FAT has an upper-case letter for each lower-case one, and no others. That of `ß` would be
 * two, and that of `ı` is the one of `i`.
 */
function upperCase(name: string): string {
  return name.replace(/\P{Lu}/gu, letter => {
    const upper = letter.toUpperCase();
    return upper.toLowerCase() === letter ? upper : letter;
  });
}

/** `A LONG NAME.HTML` becomes `ALONGN~1.HTM`. */
function tailed(upper: string, taken: Set<string>, nextTail: Map<string, number>): string {
  const bare = upper.replace(/^\.+/, '').replaceAll(' ', '');
  const dot = bare.lastIndexOf('.');
  const extension =
    dot < 0
      ? ''
      : bare
          .slice(dot + 1)
          .replace(NOT_SHORT, '_')
          .slice(0, 3);
  const base = (dot < 0 ? bare : bare.slice(0, dot)).replaceAll('.', '').replace(NOT_SHORT, '_') || '_';
  const key = `${base.slice(0, 6)}.${extension}`;
  for (let number = nextTail.get(key) ?? 1; ; number++) {
    const tail = `~${number}`;
    const name = `${base.slice(0, 8 - tail.length)}${tail}${extension && `.${extension}`}`;
    if (taken.has(name)) continue;
    taken.add(name);
    nextTail.set(key, number + 1);
    return name;
  }
}

function padded(name: string): Buffer {
  const [base = '', extension = ''] = name.split('.');
  return Buffer.from(`${base.padEnd(8)}${extension.padEnd(3)}`, 'latin1');
}

/** How many directory entries a name takes, its own included. */
export function entryCount(name: string, short: Buffer): number {
  return 1 + (isShort(name, short) ? 0 : Math.ceil(name.length / PART));
}

/** The entries with the long name, which precede the one with the short name; none if that is the name itself. */
export function longNameEntries(name: string, short: Buffer): Buffer {
  if (isShort(name, short)) return Buffer.alloc(0);
  const parts = Math.ceil(name.length / PART);
  const entries = Buffer.alloc(parts * ENTRY);
  const sum = checksum(short);
  for (let part = 0; part < parts; part++) {
    const at = (parts - 1 - part) * ENTRY;
    entries[at] = (part + 1) | (part === parts - 1 ? LAST_PART : 0);
    entries[at + 11] = LONG_NAME;
    entries[at + 13] = sum;
    for (const [index, offset] of UNIT_OFFSETS.entries()) {
      const unit = part * PART + index;
      // One zero ends a name that leaves room; the rest is filled with ones.
      const value = unit < name.length ? name.charCodeAt(unit) : unit === name.length ? 0 : 0xffff;
      entries.writeUInt16LE(value, at + offset);
    }
  }
  return entries;
}

function isShort(name: string, short: Buffer): boolean {
  return SHORT.test(name) && padded(name).equals(short);
}

function checksum(short: Buffer): number {
  return short.reduce((sum, byte) => (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff, 0);
}
