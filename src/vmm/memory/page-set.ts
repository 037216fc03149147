import { PAGE } from '../../devices/host-block.ts';

/** A set of pages, by their index in a block. */
export class PageSet {
  /** Number of pages that it can contain. */
  readonly pages: number;
  /** Bit i % 32 of word i / 32 is page i. */
  readonly words: Uint32Array;

  constructor(pages: number) {
    this.pages = pages;
    this.words = new Uint32Array(Math.ceil(pages / 32));
  }

  has(page: number): boolean {
    return page >= 0 && page < this.pages && ((this.words[page >>> 5]! >>> (page & 31)) & 1) !== 0;
  }

  /** Adds the pages that [offset, offset + length) touches, in bytes. */
  addBytes(offset: number, length: number): void {
    if (length > 0) this.add(Math.floor(offset / PAGE), Math.floor((offset + length - 1) / PAGE) + 1);
  }

  /** Adds [first, end). */
  add(first: number, end: number): void {
    const last = Math.min(end, this.pages);
    for (let page = first; page < last; ) {
      const bit = page & 31;
      const count = Math.min(32 - bit, last - page);
      this.words[page >>> 5]! |= (count === 32 ? 0xffff_ffff : 2 ** count - 1) << bit;
      page += count;
    }
  }

  /** Adds the set bits of `bits`, whose bit 0 is page `first`. @param count of bits */
  addBits(bits: Uint32Array, first: number, count: number): void {
    const { words } = this;
    const shift = first & 31;
    const at = first >>> 5;
    const full = Math.ceil(count / 32);
    for (let index = 0; index < full; index++) {
      let word = bits[index]!;
      if (word === 0) continue;
      const rest = count - index * 32;
      if (rest < 32) word &= 2 ** rest - 1;
      words[at + index]! |= word << shift;
      if (shift > 0 && word >>> (32 - shift) !== 0) words[at + index + 1]! |= word >>> (32 - shift);
    }
  }

  /** Adds all pages of another set of as many. */
  addAll(other: PageSet): void {
    const { words } = this;
    for (let index = 0; index < words.length; index++) words[index]! |= other.words[index]!;
  }

  get size(): number {
    let size = 0;
    for (const word of this.words) if (word !== 0) size += ones(word);
    return size;
  }

  /** Runs of consecutive pages, ascending: [first, end). */
  *runs(): Generator<{ readonly first: number; readonly end: number }> {
    let first = -1;
    for (let index = 0; index < this.words.length; index++) {
      const word = this.words[index]!;
      if (first < 0 ? word === 0 : word === 0xffff_ffff) continue;
      for (let bit = 0; bit < 32; bit++) {
        const isSet = ((word >>> bit) & 1) !== 0;
        if (isSet === first >= 0) continue;
        if (isSet) first = index * 32 + bit;
        else {
          yield { first, end: index * 32 + bit };
          first = -1;
        }
      }
    }
    if (first >= 0) yield { first, end: this.pages };
  }
}

/** The number of set bits of a word. */
function ones(word: number): number {
  let bits = word - ((word >>> 1) & 0x5555_5555);
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
