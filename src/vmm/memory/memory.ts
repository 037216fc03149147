import { readFileSync } from 'node:fs';
import { type GuestMemory, GuestMemoryError, type MemoryRegion } from '../../devices/guest-memory.ts';
import * as libc from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { HIGH_RAM_START, LOW_RAM_END } from './layout.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

export type HugepageSize = '2M' | '1G';

const HUGEPAGES = {
  '2M': { bytes: 2 * MiB, flag: libc.MFD_HUGE_2MB },
  '1G': { bytes: GiB, flag: libc.MFD_HUGE_1GB },
} as const;

export type RamOptions = {
  readonly bytes: number;
  readonly hugepages?: HugepageSize | undefined;
  /** Identical pages of several guests may be merged (KSM); not with `hugepages`. */
  readonly mergeable?: boolean | undefined;
};

/** Guest RAM can't be allocated; the message tells the user why and what to do. */
export class RamError extends Error {
  override readonly name = 'RamError';
}

/** Where `bytes` of RAM are in the guest's physical address space: one range below 3 GiB, the rest from 4 GiB up. */
export function ramLayout(bytes: number): { readonly address: number; readonly size: number }[] {
  const low = Math.min(bytes, LOW_RAM_END);
  const regions = [{ address: 0, size: low }];
  if (bytes > low) regions.push({ address: HIGH_RAM_START, size: bytes - low });
  return regions;
}

/**
 * Guest RAM: one memfd, mapped once per region, with the regions contiguous in the file; or private memory if it is
 * mergeable, because KSM only merges that. The host allocates memory as the guest touches it (huge pages are reserved at
 * once). The views stay valid until the owner unmaps.
 */
export class GuestRam implements GuestMemory {
  readonly regions: readonly MemoryRegion[];
  readonly size: number;
  readonly #mapped: readonly MappedRegion[];

  /** @throws RamError */
  constructor(owner: ResourceOwner, options: RamOptions) {
    const { bytes, hugepages, mergeable = false } = options;
    checkSize(bytes, hugepages);
    this.size = bytes;
    const fd = mergeable ? null : owner.ownFd(createFile(bytes, hugepages));
    let fileOffset = 0;
    this.#mapped = ramLayout(bytes).map(({ address, size }) => {
      const host = fd === null ? mapPrivate(size, bytes) : mapFile(fd, fileOffset, size, options);
      owner.ownMap(host, size);
      if (mergeable) adviseMergeable(host, size);
      // Keep guest RAM, which may hold secrets, out of core dumps of vring.
      libc.madvise(host, size, libc.MADV_DONTDUMP);
      fileOffset += size;
      return new MappedRegion({ address, size, host });
    });
    this.regions = this.#mapped.map(mapped => mapped.region);
  }

  contains(address: number, length: number): boolean {
    return this.#find(address, length) !== null;
  }

  bytes(address: number, length: number): Uint8Array {
    const region = this.#at(address, length);
    return new Uint8Array(region.buffer, address - region.start, length);
  }

  readU16(address: number): number {
    const region = this.#at(address, 2);
    return region.data.getUint16(address - region.start, true);
  }

  readU32(address: number): number {
    const region = this.#at(address, 4);
    return region.data.getUint32(address - region.start, true);
  }

  readU64(address: number): bigint {
    const region = this.#at(address, 8);
    return region.data.getBigUint64(address - region.start, true);
  }

  writeU16(address: number, value: number): void {
    const region = this.#at(address, 2);
    region.data.setUint16(address - region.start, value, true);
  }

  writeU32(address: number, value: number): void {
    const region = this.#at(address, 4);
    region.data.setUint32(address - region.start, value, true);
  }

  writeU64(address: number, value: bigint): void {
    const region = this.#at(address, 8);
    region.data.setBigUint64(address - region.start, value, true);
  }

  #at(address: number, length: number): MappedRegion {
    const region = this.#find(address, length);
    if (region === null) throw new GuestMemoryError(address, length);
    return region;
  }

  /** NaN, fractions and numbers beyond 2^53 are in no region. */
  #find(address: number, length: number): MappedRegion | null {
    if (!Number.isSafeInteger(address) || !Number.isSafeInteger(length) || length < 0) return null;
    for (const region of this.#mapped) {
      // `end - length` cannot overflow, as `address + length` could.
      if (address >= region.start && address <= region.end - length) return region;
    }
    return null;
  }
}

/** One region and its views, created once. */
class MappedRegion {
  readonly region: MemoryRegion;
  readonly start: number;
  readonly end: number;
  readonly buffer: ArrayBuffer;
  readonly data: DataView;

  constructor(region: MemoryRegion) {
    this.region = region;
    this.start = region.address;
    this.end = region.address + region.size;
    this.buffer = libc.viewOf(region.host, region.size);
    this.data = new DataView(this.buffer);
  }
}

function checkSize(bytes: number, hugepages: HugepageSize | undefined): void {
  const unit = hugepages === undefined ? MiB : HUGEPAGES[hugepages].bytes;
  if (Number.isSafeInteger(bytes) && bytes > 0 && bytes % unit === 0) return;
  const name = hugepages === undefined ? '1M' : `${hugepages}, the size of its huge pages`;
  throw new RamError(`guest memory of ${bytes} bytes is not a multiple of ${name}`);
}

function createFile(bytes: number, hugepages: HugepageSize | undefined): number {
  let fd: number;
  try {
    fd = libc.memfdCreate(
      'guest-ram',
      hugepages === undefined ? 0 : libc.MFD_HUGETLB | HUGEPAGES[hugepages].flag,
    );
  } catch (error) {
    if (hugepages === undefined || !(error instanceof libc.SystemError)) throw error;
    throw new RamError(
      `this host has no ${hugepages} huge pages: remove hugepages from the VM's memory settings`,
    );
  }
  try {
    libc.ftruncate(fd, bytes);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return fd;
}

function mapFile(fd: number, offset: number, size: number, options: RamOptions): bigint {
  const { bytes, hugepages } = options;
  // Huge pages must be reserved here: a guest that touches a missing one would kill vring with SIGBUS.
  const flags = libc.MAP_SHARED | (hugepages === undefined ? libc.MAP_NORESERVE : 0);
  try {
    return libc.mmap(size, libc.PROT_READ | libc.PROT_WRITE, flags, fd, offset);
  } catch (error) {
    if (!(error instanceof libc.SystemError) || error.code !== 'ENOMEM') throw error;
    if (hugepages === undefined) throw tooMuch(bytes);
    const pool = readHugepages(hugepages);
    const ours = offset / HUGEPAGES[hugepages].bytes;
    throw new RamError(missingHugepages(bytes, hugepages, { ...pool, available: pool.available + ours }));
  }
}

/** @param bytes size of all RAM, for the error */
function mapPrivate(size: number, bytes: number): bigint {
  const flags = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS | libc.MAP_NORESERVE;
  try {
    return libc.mmap(size, libc.PROT_READ | libc.PROT_WRITE, flags, -1);
  } catch (error) {
    throw error instanceof libc.SystemError && error.code === 'ENOMEM' ? tooMuch(bytes) : error;
  }
}

function adviseMergeable(host: bigint, size: number): void {
  try {
    libc.madvise(host, size, libc.MADV_MERGEABLE);
  } catch (error) {
    // The error of a kernel built without CONFIG_KSM.
    if (!(error instanceof libc.SystemError) || error.code !== 'EINVAL') throw error;
    throw new RamError(
      "this host's kernel cannot merge identical pages (KSM): remove mergeable from the VM's memory settings",
    );
  }
}

function tooMuch(bytes: number): RamError {
  return new RamError(
    `the host refuses ${bytes / MiB} MiB of address space for guest memory: give the VM less`,
  );
}

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

function readHugepages(size: HugepageSize): HugepagePool {
  const read = (file: string) => Number(readFileSync(`${hugepagesDirectory(size)}/${file}`, 'utf8'));
  const available = read('free_hugepages') - read('resv_hugepages');
  return { total: read('nr_hugepages'), available: Math.max(available, 0) };
}
