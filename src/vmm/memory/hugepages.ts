import { readFileSync } from 'node:fs';
import * as libc from '../native/libc.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

export type HugepageSize = '2M' | '1G';

/** Bytes of a page, and the flag of memfd_create(2) for it. */
export const HUGEPAGES = {
  '2M': { bytes: 2 * MiB, flag: libc.MFD_HUGE_2MB },
  '1G': { bytes: GiB, flag: libc.MFD_HUGE_1GB },
} as const;

/** Huge pages of one size on the host: in the pool, and available (free and not reserved). */
export type HugepagePool = { readonly total: number; readonly available: number };

/** The error for a VM of `bytes` that didn't get its huge pages. */
export function missingHugepages(bytes: number, size: HugepageSize, pool: HugepagePool): string {
  const needed = bytes / HUGEPAGES[size].bytes;
  const missing = Math.max(needed - pool.available, 1);
  return (
    `the VM needs ${needed} huge page${needed === 1 ? '' : 's'} of ${size}, but only ${pool.available} are free: ` +
    `add ${missing} with \`echo ${pool.total + missing} | sudo tee ${hugepagesDirectory(size)}/nr_hugepages\``
  );
}

function hugepagesDirectory(size: HugepageSize): string {
  return `/sys/kernel/mm/hugepages/hugepages-${HUGEPAGES[size].bytes / 1024}kB`;
}

export function readHugepages(size: HugepageSize): HugepagePool {
  const read = (file: string) => Number(readFileSync(`${hugepagesDirectory(size)}/${file}`, 'utf8'));
  const available = read('free_hugepages') - read('resv_hugepages');
  return { total: read('nr_hugepages'), available: Math.max(available, 0) };
}
