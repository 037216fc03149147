import { PAGE } from '../../../devices/host-block.ts';
import type { DirtyPages } from '../../memory/dirty-log.ts';
import type { RamBlock } from '../../memory/ram-blocks.ts';

/** Pages of all RAM, one bit each, by their offset in the file of all blocks. */
export class PageBits {
  readonly #blocks: readonly RamBlock[];
  readonly bytes: Uint8Array;

  constructor(blocks: readonly RamBlock[]) {
    this.#blocks = blocks;
    const size = blocks.reduce((end, block) => Math.max(end, block.offset + block.size), 0);
    // Whole words.
    this.bytes = new Uint8Array(Math.ceil(size / PAGE / 32) * 4);
  }

  /** Blocks begin and end at multiples of 1 MiB, so they share no word. */
  add(pages: DirtyPages): void {
    for (const block of this.#blocks) {
      const set = pages.get(block);
      if (set === undefined) continue;
      const words = new Uint32Array(this.bytes.buffer, block.offset / PAGE / 8, set.words.length);
      for (const [index, word] of set.words.entries()) words[index]! |= word;
    }
  }

  /** Bytes of RAM. */
  static bytesOf(pages: DirtyPages): number {
    let count = 0;
    for (const set of pages.values()) count += set.size;
    return count * PAGE;
  }
}
