import type { BigIntStats } from 'node:fs';

/** Identifies a file of this host, whatever its name: `fd01:1234`. Device and inode, in hexadecimal. */
export type FileIdentity = string;

export function fileIdentity(stats: BigIntStats): FileIdentity {
  return stats.isBlockDevice()
    ? `block:${stats.rdev.toString(16)}`
    : `${stats.dev.toString(16)}:${stats.ino.toString(16)}`;
}

/** Linux's encoding of a dev_t (sys/sysmacros.h). */
export function deviceNumbers(device: bigint): { major: bigint; minor: bigint } {
  return {
    major: ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn),
    minor: (device & 0xffn) | ((device >> 12n) & ~0xffn),
  };
}
