import { fstatSync, readSync } from 'node:fs';
import type { HostBlock } from '../../devices/host-block.ts';
import * as libc from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { HUGEPAGES, type HugepageSize, missingHugepages, readHugepages } from './hugepages.ts';
import { type BlockPlace, ramLayout } from './ram-layout.ts';
import { isSealed, sealedMemfd } from './sealed-memfd.ts';

const MiB = 2 ** 20;
/** Node limits the length of a read to a signed 32-bit number. */
const READ_MAX = 2 ** 30;
const PRIVATE = libc.MAP_PRIVATE | libc.MAP_NORESERVE;

export type RamOptions = {
  readonly bytes: number;
  readonly hugepages?: HugepageSize | undefined;
  /** Whether identical pages of several guests may be merged (KSM); not with `hugepages`. */
  readonly mergeable?: boolean | undefined;
  /** Whether the machine has firmware, which takes more of the addresses below 4 GiB. */
  readonly firmware?: boolean | undefined;
};

/**
 * The source of RAM. `new`: empty. `file`: a copy of a file's contents, which are read as they are touched and never
 * written; the file must not change. `memfd`: the file itself, from another process. A file has exactly the bytes of
 * all blocks, one after the other; its `fd` then belongs to the RAM's owner.
 */
export type RamSource =
  | { readonly kind: 'new' }
  | { readonly kind: 'file'; readonly fd: number }
  | { readonly kind: 'memfd'; readonly fd: number };

/** A piece of RAM. Its offset is that in the file of all blocks, even if there is no such file. */
export type RamBlock = HostBlock & {
  /** Its guest-physical address. */
  readonly address: number;
};

/** Guest RAM is unavailable; the message gives the reason and the next step. */
export class RamError extends Error {
  override readonly name = 'RamError';
}

/** Maps the blocks of a machine's RAM. They stay mapped until the owner unmaps them. @throws RamError */
export function mapBlocks(owner: ResourceOwner, options: RamOptions, source: RamSource): RamBlock[] {
  const { bytes, hugepages, mergeable = false, firmware } = options;
  const given = source.kind === 'new' ? null : owner.ownFd(source.fd);
  checkSize(bytes, hugepages);
  if (given !== null) checkFile(given, bytes, source.kind === 'memfd');
  const mapAll = (map: (place: BlockPlace) => bigint, fd: number | null) =>
    ramLayout(bytes, firmware).map((place): RamBlock => {
      const host = map(place);
      owner.ownMap(host, place.size);
      advise(host, place.size, mergeable);
      // Huge pages stay reserved: another program could take them.
      const discard = hugepages === undefined && ({ discard: fd === null ? 'dontneed' : 'remove' } as const);
      return viewedLate({ ...place, host, fd, ...discard });
    });

  // KSM merges private memory only.
  if (mergeable || (source.kind === 'file' && hugepages === undefined)) {
    return mapAll(place => mapPrivate(given, place, bytes), null);
  }
  if (source.kind === 'memfd') return mapAll(place => mapShared(source.fd, place, options), source.fd);
  const fd = owner.ownFd(createFile(bytes, hugepages));
  const blocks = mapAll(place => mapShared(fd, place, options), fd);
  // A file's pages can't be mapped as huge ones.
  if (given !== null) for (const block of blocks) readBlock(given, block);
  return blocks;
}

/** Bytes of a block's `head`, which contains what a kernel is booted with. */
const HEAD = 16 * MiB;

/**
 * V8 counts a view of memory as potential garbage: a view of all RAM would trigger a full collection immediately, just
 * when the VM starts. Most device models access no RAM beyond the head.
 */
function viewedLate(block: Omit<RamBlock, 'buffer'>): RamBlock {
  const { host, size } = block;
  let buffer: ArrayBuffer | null = size > HEAD ? null : libc.viewOf(host, size);
  return Object.defineProperty(
    { ...block, ...(buffer === null && { head: libc.viewOf(host, HEAD) }) } as RamBlock,
    'buffer',
    {
      enumerable: true,
      get: () => {
        buffer ??= libc.viewOf(host, size);
        return buffer;
      },
    },
  );
}

/** Pages of a block to clear; default: all. `inPlace`: devices have pinned them. */
export type Clearing = { readonly start?: number; readonly length?: number; readonly inPlace?: boolean };

/**
 * Makes a block, or some pages of it, read as zero again, and returns its memory to the host, except for huge pages,
 * which another program could then take. The vCPUs and queue threads must be stopped.
 */
export function clearBlock(block: RamBlock, options: RamOptions, clearing: Clearing = {}): void {
  const { hugepages, mergeable = false } = options;
  const { host, fd, offset } = block;
  const { start = 0, length = block.size, inPlace = false } = clearing;
  if (hugepages !== undefined || inPlace) new Uint8Array(block.buffer, start, length).fill(0);
  else if (fd !== null) {
    libc.fallocate(fd, libc.FALLOC_FL_PUNCH_HOLE | libc.FALLOC_FL_KEEP_SIZE, offset + start, length);
  } else {
    const address = host + BigInt(start);
    libc.mmapOver(address, length, libc.PROT_READ | libc.PROT_WRITE, PRIVATE | libc.MAP_ANONYMOUS);
    advise(address, length, mergeable);
  }
}

function checkSize(bytes: number, hugepages: HugepageSize | undefined): void {
  const unit = hugepages === undefined ? MiB : HUGEPAGES[hugepages].bytes;
  if (Number.isSafeInteger(bytes) && bytes > 0 && bytes % unit === 0) return;
  const name = hugepages === undefined ? '1M' : `${hugepages}, the size of its huge pages`;
  throw new RamError(`guest memory of ${bytes} bytes is not a multiple of ${name}`);
}

function checkFile(fd: number, bytes: number, sealed: boolean): void {
  const { size } = fstatSync(fd);
  if (size !== bytes) {
    throw new RamError(`the memory of the VM has ${bytes} bytes, but what was saved of it has ${size}`);
  }
  if (sealed && !isSealed(fd)) {
    throw new RamError('the memory of the VM is in a file whose size can change: start the VM again');
  }
}

function createFile(bytes: number, hugepages: HugepageSize | undefined): number {
  if (hugepages === undefined) return sealedMemfd('guest-ram', bytes);
  try {
    return sealedMemfd('guest-ram', bytes, libc.MFD_HUGETLB | HUGEPAGES[hugepages].flag);
  } catch (error) {
    if (!(error instanceof libc.SystemError)) throw error;
    throw new RamError(
      `this host has no ${hugepages} huge pages: remove hugepages from the VM's memory settings`,
    );
  }
}

function mapShared(fd: number, { offset, size }: BlockPlace, { bytes, hugepages }: RamOptions): bigint {
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
function mapPrivate(fd: number | null, { offset, size }: BlockPlace, bytes: number): bigint {
  const flags = fd === null ? PRIVATE | libc.MAP_ANONYMOUS : PRIVATE;
  try {
    return libc.mmap(size, libc.PROT_READ | libc.PROT_WRITE, flags, fd ?? -1, fd === null ? 0 : offset);
  } catch (error) {
    throw error instanceof libc.SystemError && error.code === 'ENOMEM' ? tooMuch(bytes) : error;
  }
}

function advise(host: bigint, size: number, mergeable: boolean): void {
  // Keep guest RAM, which may hold secrets, out of core dumps of vring.
  libc.madvise(host, size, libc.MADV_DONTDUMP);
  if (!mergeable) return;
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

function readBlock(fd: number, { size, offset, buffer }: RamBlock): void {
  const bytes = new Uint8Array(buffer);
  for (let done = 0; done < size; ) {
    const count = readSync(fd, bytes, done, Math.min(size - done, READ_MAX), offset + done);
    if (count === 0) throw new RamError('the saved memory of the VM shrank while it was being read');
    done += count;
  }
}

function tooMuch(bytes: number): RamError {
  return new RamError(
    `the host refuses ${bytes / MiB} MiB of address space for guest memory: give the VM less`,
  );
}
