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
  /** Pages that are equal in several guests may be merged (KSM); not with `hugepages`. */
  readonly mergeable?: boolean | undefined;
};

/** Guest RAM can't be had; the message tells the user why and what to do. */
export class RamError extends Error {
  override readonly name = 'RamError';
}

/** Where `bytes` of RAM are in the guest's physical address space: one piece below 3 GiB, the rest from 4 GiB up. */
export function ramLayout(bytes: number): { readonly address: number; readonly size: number }[] {
  const low = Math.min(bytes, LOW_RAM_END);
  const pieces = [{ address: 0, size: low }];
  if (bytes > low) pieces.push({ address: HIGH_RAM_START, size: bytes - low });
  return pieces;
}

/**
 * Guest RAM: one memfd, mapped once per region, the regions one after the other in the file; or private memory when it is
 * to be mergeable, as KSM looks at no other. The memory is taken from the host as the guest touches it (huge pages are
 * reserved at once). The views stay valid until the owner unmaps.
 */
export class GuestRam implements GuestMemory {
  readonly regions: readonly MemoryRegion[];
  readonly size: number;
  readonly #pieces: readonly Piece[];

  /** @throws RamError */
  constructor(owner: ResourceOwner, options: RamOptions) {
    const { bytes, hugepages, mergeable = false } = options;
    checkSize(bytes, hugepages);
    this.size = bytes;
    const fd = mergeable ? null : owner.ownFd(createFile(bytes, hugepages));
    let fileOffset = 0;
    this.#pieces = ramLayout(bytes).map(({ address, size }) => {
      const host = fd === null ? mapPrivate(size, bytes) : mapFile(fd, fileOffset, size, options);
      owner.ownMap(host, size);
      if (mergeable) adviseMergeable(host, size);
      // A crash dump of vring is for finding vring's faults, and guest RAM may hold secrets.
      libc.madvise(host, size, libc.MADV_DONTDUMP);
      fileOffset += size;
      return new Piece({ address, size, host });
    });
    this.regions = this.#pieces.map(piece => piece.region);
  }

  contains(address: number, length: number): boolean {
    return this.#find(address, length) !== null;
  }

  bytes(address: number, length: number): Uint8Array {
    const piece = this.#at(address, length);
    return new Uint8Array(piece.buffer, address - piece.start, length);
  }

  readU16(address: number): number {
    const piece = this.#at(address, 2);
    return piece.data.getUint16(address - piece.start, true);
  }

  readU32(address: number): number {
    const piece = this.#at(address, 4);
    return piece.data.getUint32(address - piece.start, true);
  }

  readU64(address: number): bigint {
    const piece = this.#at(address, 8);
    return piece.data.getBigUint64(address - piece.start, true);
  }

  writeU16(address: number, value: number): void {
    const piece = this.#at(address, 2);
    piece.data.setUint16(address - piece.start, value, true);
  }

  writeU32(address: number, value: number): void {
    const piece = this.#at(address, 4);
    piece.data.setUint32(address - piece.start, value, true);
  }

  writeU64(address: number, value: bigint): void {
    const piece = this.#at(address, 8);
    piece.data.setBigUint64(address - piece.start, value, true);
  }

  #at(address: number, length: number): Piece {
    const piece = this.#find(address, length);
    if (piece === null) throw new GuestMemoryError(address, length);
    return piece;
  }

  /** NaN, fractions and numbers beyond 2^53 are in no piece. */
  #find(address: number, length: number): Piece | null {
    if (!Number.isSafeInteger(address) || !Number.isSafeInteger(length) || length < 0) return null;
    for (const piece of this.#pieces) {
      // `end - length` cannot overflow, as `address + length` could.
      if (address >= piece.start && address <= piece.end - length) return piece;
    }
    return null;
  }
}

/** One region and its views, made once. */
class Piece {
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
      `this host has no huge pages of ${hugepages}: leave them out of the VM's memory settings`,
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
  // Huge pages must be reserved here: a guest that touches one which is not there would end vring with SIGBUS.
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

/** @param bytes of the whole RAM, for the error */
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
    // What the kernel answers that was built without CONFIG_KSM.
    if (!(error instanceof libc.SystemError) || error.code !== 'EINVAL') throw error;
    throw new RamError(
      "this host's kernel cannot merge equal pages (KSM): leave mergeable out of the VM's memory settings",
    );
  }
}

function tooMuch(bytes: number): RamError {
  return new RamError(
    `the host refuses ${bytes / MiB} MiB of address space for guest memory: give the VM less`,
  );
}

/** Huge pages of one size on the host: in the pool, and free and not reserved. */
export type HugepagePool = { readonly total: number; readonly available: number };

/** What to tell a user whose VM of `bytes` did not get its huge pages. */
export function missingHugepages(bytes: number, size: HugepageSize, pool: HugepagePool): string {
  const needed = bytes / HUGEPAGES[size].bytes;
  const missing = Math.max(needed - pool.available, 1);
  return (
    `the VM needs ${needed} huge page${needed === 1 ? '' : 's'} of ${size}, ${pool.available} free: add ${missing} with ` +
    `\`echo ${pool.total + missing} | sudo tee ${hugepagesDirectory(size)}/nr_hugepages\``
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
