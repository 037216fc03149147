import {
  ADDRESS,
  ADDRESS_BITS,
  ADDRESS_ENTRIES,
  addressKey,
  type CounterLayout,
  FORGOTTEN,
} from './counters.ts';

/** At most this many entries are probed for an address, whatever addresses the guest picks. */
const MAX_PROBES = 16;
/** 2^32 divided by the golden ratio, odd: spreads neighbors (Knuth, TAOCP vol. 3 §6.4). */
const GOLDEN = 0x9e37_79b1;
const HASH_SHIFT = 32 - Math.log2(ADDRESS_ENTRIES);
/** Address bits in the upper half of a key. */
const HIGH_BITS = ADDRESS_BITS - 32;
const REGION_MASK = -1 << HIGH_BITS;

/** The upper half of the key of an entry whose region was released. */
const FORGOTTEN_HIGH = 0xffff_ffff;

/**
 * Counts accesses by exact address in the VM's shared block: an open-addressed hash table. A key is written with a
 * single store, so readers need no lock. Addresses that no longer fit in the table are counted together. The entries of
 * a released region are reused.
 */
export class AddressCounters {
  readonly #words: BigUint64Array;
  /** The same words, as 32-bit halves. */
  readonly #halves: Uint32Array;
  readonly #table: number;
  readonly #others: number;

  constructor(words: BigUint64Array, layout: CounterLayout) {
    this.#words = words;
    this.#halves = new Uint32Array(words.buffer, words.byteOffset, words.length * 2);
    this.#table = layout.address(0);
    this.#others = layout.otherAddresses;
  }

  /** Drops the addresses of a region. */
  forget(region: number): void {
    const first = ((region + 1) << HIGH_BITS) >>> 0;
    for (let index = 0; index < ADDRESS_ENTRIES; index++) {
      const entry = this.#table + index * ADDRESS.words;
      const high = this.#halves[2 * (entry + ADDRESS.key) + 1]!;
      if ((high & REGION_MASK) >>> 0 !== first) continue;
      this.#words[entry + ADDRESS.key] = FORGOTTEN;
      for (const word of [ADDRESS.reads, ADDRESS.writes, ADDRESS.ns]) this.#words[entry + word] = 0n;
    }
  }

  /** The first word of an address's entry, which is added if there is room. */
  entry(region: number, address: number): number {
    const low = address >>> 0;
    const high = (((region + 1) << HIGH_BITS) | (address / 2 ** 32)) >>> 0;
    let forgotten = -1;
    let index = Math.imul(low ^ Math.imul(high, GOLDEN), GOLDEN) >>> HASH_SHIFT;
    for (let probe = 0; probe < MAX_PROBES; probe++) {
      const entry = this.#table + index * ADDRESS.words;
      const key = 2 * (entry + ADDRESS.key);
      if (this.#halves[key] === low && this.#halves[key + 1] === high) return entry;
      const present = this.#halves[key + 1];
      if (present === FORGOTTEN_HIGH && forgotten < 0) forgotten = entry;
      // The upper half of a key holds its region plus one.
      if (present === 0) return this.#add(forgotten < 0 ? entry : forgotten, region, address);
      index = (index + 1) % ADDRESS_ENTRIES;
    }
    return forgotten < 0 ? this.#others : this.#add(forgotten, region, address);
  }

  /** Whether an entry is that of one address, which keeps it until its region is released. */
  fits(entry: number): boolean {
    return entry !== this.#others;
  }

  #add(entry: number, region: number, address: number): number {
    this.#words[entry + ADDRESS.key] = addressKey(region, address);
    return entry;
  }
}
