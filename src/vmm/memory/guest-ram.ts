import type { ResourceOwner } from '../native/resource-owner.ts';
import { clearBlock, mapBlocks, type RamBlock, type RamOptions, type RamSource } from './ram-blocks.ts';
import { SpanMemory } from './span-memory.ts';

/** Bytes that are cleared at a time: some hundredths of a second. */
const CLEAR_STEP = 256 * 2 ** 20;

/**
 * Guest RAM: contiguous blocks in one memfd, or private memory, if it is mergeable or comes from a file. The host
 * allocates memory as the guest touches it (huge pages are reserved immediately). The views stay valid until the owner
 * unmaps.
 *
 * As memory, it has each block at its address. What a guest and its devices see of it is up to the address space.
 */
export class GuestRam extends SpanMemory {
  readonly blocks: readonly RamBlock[];
  /** Bytes of all blocks. */
  readonly size: number;
  readonly #options: RamOptions;
  #below: number | null;
  /** Called when `pinned` has changed. */
  onPinned: ((pinned: boolean) => void) | null = null;
  #pinned = false;

  /** @throws RamError */
  constructor(owner: ResourceOwner, options: RamOptions, source: RamSource = { kind: 'new' }) {
    const blocks = mapBlocks(owner, options, source);
    super(blocks);
    this.#options = options;
    this.size = options.bytes;
    this.blocks = blocks;
    this.setSpans(
      blocks.map(block => ({ address: block.address, size: block.size, block, offset: 0, writable: true })),
    );
    const isPrivate = blocks.some(({ fd }) => fd === null);
    this.#below = source.kind === 'file' && isPrivate ? source.fd : null;
  }

  /** The file with the unwritten pages of private memory; null if they are zero. */
  get below(): number | null {
    return this.#below;
  }

  /** Whether host devices access it: its pages are then cleared in place, rather than returned to the host. */
  get pinned(): boolean {
    return this.#pinned;
  }

  set pinned(pinned: boolean) {
    if (pinned === this.#pinned) return;
    this.#pinned = pinned;
    this.onPinned?.(pinned);
  }

  /** Makes all RAM read as zero, and returns it to the host unless pinned. vCPUs and queue threads must be stopped. */
  clear(): void {
    for (const _ of this.clearing());
  }

  /** Same, in steps, between which other work may use the thread: the kernel takes up to a second for some GiB. */
  *clearing(): Generator<void> {
    for (const block of this.blocks) {
      for (let start = 0; start < block.size; start += CLEAR_STEP) {
        const length = Math.min(CLEAR_STEP, block.size - start);
        this.writeLog?.wrote(block, start, length);
        clearBlock(block, this.#options, { start, length, inPlace: this.pinned });
        yield;
      }
    }
    this.#below = null;
  }
}
