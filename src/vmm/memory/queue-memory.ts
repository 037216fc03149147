import { type HostBlock, PAGE } from '../../devices/host-block.ts';
import * as libc from '../native/libc.ts';
import type { NativeVm } from '../native/native-vm.ts';
import { type QueueRegion, setMemory } from '../native/queue-regions.ts';
import { setWriteLog, takeWritten } from '../native/write-logs.ts';
import type { MapListener } from './address-space.ts';
import type { MapChanges } from './direct-map.ts';
import type { DirtySource } from './dirty-log.ts';
import type { PageSet } from './page-set.ts';
import type { Span } from './span-memory.ts';

/** Bytes before the bits of a log: whether it is on, and the number of pages (native/src/memory/writes.rs). */
const HEADER_BYTES = 16;

/** A log of queue threads' writes to a block, in memory that they share. */
type Log = { readonly address: bigint; readonly pages: number };

/** The guest memory that queue threads access, the same as for device models. It follows an address space. */
export class QueueMemory implements MapListener, DirtySource {
  readonly #native: NativeVm;
  readonly #logs = new Map<HostBlock, Log>();
  #logging: ReadonlySet<HostBlock> = new Set();
  #regions: readonly QueueRegion[] = [];

  constructor(native: NativeVm) {
    this.#native = native;
  }

  commit(_changes: MapChanges, spans: readonly Span[]): void {
    const regions = spans.map(({ address, size, block, offset, writable }) => ({
      ...{ address, size, host: block.host + BigInt(offset), offset, readonly: !writable },
      log: writable ? this.#logOf(block).address : 0n,
      discard: block.discard ?? null,
    }));
    // A change would stop the running threads.
    if (areSame(regions, this.#regions)) return;
    this.#regions = regions;
    setMemory(this.#native.handle, regions);
  }

  setLogging(blocks: ReadonlySet<HostBlock>): void {
    const before = this.#logging;
    this.#logging = blocks;
    for (const block of before) {
      if (!blocks.has(block)) setWriteLog(this.#logOf(block).address, false);
    }
    for (const block of blocks) {
      if (before.has(block)) continue;
      const { address, pages } = this.#logOf(block);
      // Discards leftovers of earlier logging.
      takeWritten(address, pages);
      setWriteLog(address, true);
    }
  }

  collect(block: HostBlock, into: PageSet): void {
    if (!this.#logging.has(block)) return;
    const { address, pages } = this.#logOf(block);
    const bits = takeWritten(address, pages);
    if (bits !== null) into.addBits(bits, 0, pages);
  }

  #logOf(block: HostBlock): Log {
    const known = this.#logs.get(block);
    if (known !== undefined) return known;
    const pages = block.size / PAGE;
    const bytes = HEADER_BYTES + Math.ceil(pages / 64) * 8;
    const flags = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS | libc.MAP_NORESERVE;
    const address = libc.mmap(bytes, libc.PROT_READ | libc.PROT_WRITE, flags, -1);
    this.#native.ownMap(address, bytes);
    new DataView(libc.viewOf(address, HEADER_BYTES)).setBigUint64(8, BigInt(pages), true);
    const log = { address, pages };
    this.#logs.set(block, log);
    return log;
  }
}

function areSame(a: readonly QueueRegion[], b: readonly QueueRegion[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ address, size, host, readonly }, index) => {
      const other = b[index]!;
      const isThere = address === other.address && size === other.size;
      return isThere && host === other.host && readonly === other.readonly;
    })
  );
}
