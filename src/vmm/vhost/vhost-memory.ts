import { type HostBlock, PAGE } from '../../devices/host-block.ts';
import type { MapListener } from '../memory/address-space.ts';
import type { DirectPiece, MapChanges } from '../memory/direct-map.ts';
import type { DirtySource } from '../memory/dirty-log.ts';
import { PageSet } from '../memory/page-set.ts';
import { vhostMemory, vhostMemoryRegion } from './ioctls.ts';

/** Bits for the pages of guest memory, from address 0 on, in which the kernel logs its writes. */
export interface VhostLog {
  /** The address of the bits in this process. */
  readonly address: bigint;
  /**
   * Takes the recorded pages out.
   * @returns bits, of which bit i % 32 of word i / 32 is page i; null if there are none
   */
  take(): Uint32Array | null;
  /** Number of pages that it covers. */
  readonly pages: number;
}

/** Running vhost devices, which have their own copy of the memory table. */
export interface MemoryUser {
  /** The table, or the log, has been replaced. It must not change the address space, and must not throw. */
  memoryChanged(): void;
}

/**
 * Guest memory as the kernel's vhost accesses it: all RAM, by its addresses in the guest and in this process. It
 * follows an address space. ROMs are left out, as the kernel would write to them.
 */
export class VhostMemory implements MapListener, DirtySource {
  readonly #createLog: (pages: number) => VhostLog;
  readonly #users = new Set<MemoryUser>();
  /** By address. */
  #pieces: readonly DirectPiece[] = [];
  #logging: ReadonlySet<HostBlock> = new Set();
  #log: VhostLog | null = null;
  /** Pages that have been taken out of the log, and not collected yet. */
  readonly #written = new Map<HostBlock, PageSet>();

  /** @param createLog creates an empty log for this many pages */
  constructor(createLog: (pages: number) => VhostLog) {
    this.#createLog = createLog;
  }

  /** Notifies `user` of changes from now on. */
  attach(user: MemoryUser): void {
    this.#users.add(user);
  }

  detach(user: MemoryUser): void {
    this.#users.delete(user);
  }

  /** A struct vhost_memory with its regions. */
  get table(): Uint8Array {
    const regions = merged(this.#pieces);
    const bytes = new Uint8Array(vhostMemory.size + regions.length * vhostMemoryRegion.size);
    vhostMemory.write(bytes, { nregions: regions.length });
    for (const [index, { address, size, block, offset }] of regions.entries()) {
      const region = {
        guest_phys_addr: BigInt(address),
        memory_size: BigInt(size),
        userspace_addr: block.host + BigInt(offset),
        flags_padding: 0n,
      };
      vhostMemoryRegion.write(bytes, region, vhostMemory.size + index * vhostMemoryRegion.size);
    }
    return bytes;
  }

  /** The address of the log's bits in this process; null if writes are not logged. */
  get logAddress(): bigint | null {
    return this.#log?.address ?? null;
  }

  /** The address of guest memory in this process; null if it is not RAM, or not contiguous there. */
  hostAddress(address: number, length: number): bigint | null {
    const region = merged(this.#pieces).find(
      each => address >= each.address && address + length <= each.address + each.size,
    );
    return region === undefined
      ? null
      : region.block.host + BigInt(region.offset) + BigInt(address - region.address);
  }

  commit({ removed, added }: MapChanges): void {
    const isRam = ({ kind }: DirectPiece) => kind === 'ram';
    if (!removed.some(isRam) && !added.some(isRam)) return;
    this.#gather();
    const gone = new Set(removed);
    const stay = this.#pieces.filter(piece => !gone.has(piece));
    this.#pieces = [...stay, ...added.filter(isRam)].sort((a, b) => a.address - b.address);
    const before = this.#log;
    if (before !== null && before.pages < this.#pages) this.#log = this.#createLog(this.#pages);
    this.#changed();
    // Includes writes logged until the users switched to the new one.
    if (before !== null && before !== this.#log) this.#take(before);
  }

  setLogging(blocks: ReadonlySet<HostBlock>): void {
    this.#gather();
    this.#logging = blocks;
    for (const block of this.#written.keys()) if (!blocks.has(block)) this.#written.delete(block);
    if (blocks.size > 0 === (this.#log !== null)) return;
    this.#log = blocks.size > 0 ? this.#createLog(this.#pages) : null;
    this.#changed();
  }

  collect(block: HostBlock, into: PageSet): void {
    this.#gather();
    const written = this.#written.get(block);
    if (written !== undefined) into.addAll(written);
    this.#written.delete(block);
  }

  #changed(): void {
    for (const user of this.#users) user.memoryChanged();
  }

  get #pages(): number {
    const last = this.#pieces.at(-1);
    return last === undefined ? 0 : (last.address + last.size) / PAGE;
  }

  #gather(): void {
    if (this.#log !== null) this.#take(this.#log);
  }

  /** Takes the pages out of a log, for the blocks that are now at their addresses. */
  #take(log: VhostLog): void {
    const bits = log.take();
    if (bits === null) return;
    const found = new PageSet(bits.length * 32);
    found.words.set(bits);
    const runs = [...found.runs()];
    for (const { address, size, block, offset } of this.#pieces) {
      if (!this.#logging.has(block)) continue;
      const [start, end] = [address / PAGE, (address + size) / PAGE];
      for (const run of runs) {
        const [first, last] = [Math.max(run.first, start), Math.min(run.end, end)];
        if (first < last)
          this.#writtenOf(block).add(first - start + offset / PAGE, last - start + offset / PAGE);
      }
    }
  }

  #writtenOf(block: HostBlock): PageSet {
    const known = this.#written.get(block);
    if (known !== undefined) return known;
    const pages = new PageSet(block.size / PAGE);
    this.#written.set(block, pages);
    return pages;
  }
}

/** Merges pieces that are contiguous in both guest and process: the kernel takes at most 64 of them. */
function merged(pieces: readonly DirectPiece[]): DirectPiece[] {
  const regions: DirectPiece[] = [];
  for (const piece of pieces) {
    const last = regions.at(-1);
    const continues =
      last !== undefined &&
      last.block === piece.block &&
      last.address + last.size === piece.address &&
      last.offset + last.size === piece.offset;
    if (continues) regions[regions.length - 1] = { ...last, size: last.size + piece.size };
    else regions.push(piece);
  }
  return regions;
}
