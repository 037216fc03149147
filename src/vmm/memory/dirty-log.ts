import { type HostBlock, PAGE } from '../../devices/host-block.ts';
import { PageSet } from './page-set.ts';
import type { SpanMemory, WriteLog } from './span-memory.ts';

/**
 * A writer to blocks that does not report its writes, but can be asked afterwards: KVM for the guest, queue threads.
 */
export interface DirtySource {
  /** Logs writes to these blocks from now on, and to no others. */
  setLogging(blocks: ReadonlySet<HostBlock>): void;
  /**
   * Adds the pages of `block` that were written since the last call, and clears them from the log. A page of a write
   * that is in progress may be reported now or the next time.
   */
  collect(block: HostBlock, into: PageSet): void;
}

/** Pages that were written, by block. */
export type DirtyPages = ReadonlyMap<HostBlock, PageSet>;

/**
 * Tracks the pages of memory that were written, by the guest or a device, for several users at the same time: a
 * migration, a display. Each collects what was written since its last collection.
 */
export class DirtyLog implements WriteLog {
  readonly #sources: readonly DirtySource[];
  readonly #memories: readonly SpanMemory[];
  /** What each user has not collected yet. */
  readonly #users = new Map<string, Map<HostBlock, PageSet>>();

  /**
   * @param sources writers that have to be asked
   * @param memories through which device models write
   */
  constructor(sources: readonly DirtySource[], memories: readonly SpanMemory[]) {
    this.#sources = sources;
    this.#memories = memories;
  }

  /** Logs writes to `blocks` for `user` from now on. */
  start(user: string, blocks: readonly HostBlock[]): void {
    if (this.#users.has(user)) throw new Error(`${user} has started a dirty log already`);
    // Earlier writes are for the other users.
    for (const block of blocks) this.#gather(block);
    this.#users.set(user, emptySets(blocks));
    this.#updateSources();
  }

  /** The pages written since `start` or the last call. */
  collect(user: string): DirtyPages {
    const pages = this.#pagesOf(user);
    for (const block of pages.keys()) this.#gather(block);
    this.#users.set(user, emptySets([...pages.keys()]));
    return pages;
  }

  stop(user: string): void {
    this.#pagesOf(user);
    this.#users.delete(user);
    this.#updateSources();
  }

  wrote(block: HostBlock, offset: number, length: number): void {
    for (const pages of this.#users.values()) pages.get(block)?.addBytes(offset, length);
  }

  #pagesOf(user: string): Map<HostBlock, PageSet> {
    const pages = this.#users.get(user);
    if (pages === undefined) throw new Error(`${user} has not started a dirty log`);
    return pages;
  }

  /** Asks all sources about a block, on behalf of all its users. */
  #gather(block: HostBlock): void {
    const sets = [...this.#users.values()].flatMap(pages => pages.get(block) ?? []);
    if (sets.length === 0) return;
    const written = new PageSet(block.size / PAGE);
    for (const source of this.#sources) source.collect(block, written);
    for (const set of sets) set.addAll(written);
  }

  #updateSources(): void {
    const blocks = new Set([...this.#users.values()].flatMap(pages => [...pages.keys()]));
    for (const source of this.#sources) source.setLogging(blocks);
    for (const memory of this.#memories) memory.writeLog = blocks.size > 0 ? this : null;
  }
}

function emptySets(blocks: readonly HostBlock[]): Map<HostBlock, PageSet> {
  return new Map(blocks.map(block => [block, new PageSet(block.size / PAGE)]));
}
