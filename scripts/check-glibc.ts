// Checks that the files to package run with the oldest supported glibc.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** RHEL 9's. Debian 12 has 2.36. */
export const OLDEST_GLIBC = '2.34';
export const NATIVE_FILES = ['libvring_native.so', 'vring-net-user', 'koffi.node'];

/** The symbols of an ELF file that need a glibc newer than `oldest`, as `name GLIBC_x.y`. */
export function symbolsNewerThan(file: string, oldest: string): string[] {
  const table = execFileSync('objdump', ['--dynamic-syms', file], { encoding: 'utf8' });
  return [...table.matchAll(/\*UND\*.*\(GLIBC_([\d.]+)\)\s+(\S+)$/gm)]
    .filter(([, version]) => isNewer(version!, oldest))
    .map(([, version, name]) => `${name} GLIBC_${version}`);
}

function isNewer(version: string, than: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldMajor = 0, oldMinor = 0] = than.split('.').map(Number);
  return major > oldMajor || (major === oldMajor && minor > oldMinor);
}

/** @throws an error naming the first symbol in `dist` that needs a newer glibc than `oldest` */
export function requireGlibc(dist: string, oldest = OLDEST_GLIBC): void {
  for (const name of NATIVE_FILES) {
    const [symbol] = symbolsNewerThan(join(dist, name), oldest);
    if (symbol === undefined) continue;
    throw new Error(
      `${join(dist, name)} needs ${symbol}, but packages must run on glibc ${oldest}: build them on Debian 12 or RHEL 9`,
    );
  }
}

if (import.meta.main) {
  try {
    requireGlibc(join(import.meta.dirname, '../dist'));
  } catch (error) {
    console.error(`vring: ${(error as Error).message}`);
    process.exit(1);
  }
}
