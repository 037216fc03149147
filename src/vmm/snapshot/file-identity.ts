import { fstatSync, statSync } from 'node:fs';

/**
 * Identifies a file that has not been replaced or written since. The times are nanoseconds since 1970. Its device is
 * left out, as in git's index: the number may change with a reboot.
 */
export type FileIdentity = {
  /** Bytes; 0 for a block device. */
  readonly size: number;
  readonly ino: string;
  /** The last write. */
  readonly mtime: string;
  /** The last change of any kind, including owner or mode. No program can set it. */
  readonly ctime: string;
};

type BigStats = {
  readonly size: bigint;
  readonly ino: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
};

/** @param file an open fd, or a path. @returns null if there is no such file */
export function identify(file: number | string): FileIdentity | null {
  const stats =
    typeof file === 'number'
      ? fstatSync(file, { bigint: true })
      : statSync(file, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? null : identityOf(stats);
}

export function identityOf({ size, ino, mtimeNs, ctimeNs }: BigStats): FileIdentity {
  return {
    size: Number(size),
    ino: ino.toString(),
    mtime: mtimeNs.toString(),
    ctime: ctimeNs.toString(),
  };
}

/** Whether the file is unchanged since. Like git's index, this trusts the kernel's times. A copy is another file. */
export function isUntouched(then: FileIdentity, now: FileIdentity | null): boolean {
  return now !== null && then.size === now.size && then.ino === now.ino && then.ctime === now.ctime;
}
