import type { GuestMemory } from '../../guest-memory.ts';
import { FEATURE } from '../features.ts';
import type { QueueProgress, VirtioQueue } from '../virtio-device.ts';
import {
  Chain,
  DESCRIPTOR,
  DESCRIPTOR_BYTES,
  fence,
  indirectTable,
  nestedIndirect,
  packedDescriptor,
  RingError,
} from './chain.ts';
import type { Ring } from './ring.ts';

/** Descriptor flags (virtio 1.3 §2.8.1). */
const AVAIL = 1 << 7;
const USED = 1 << 15;
/** Offsets in a descriptor. */
const LENGTH = 8;
const ID = 12;
const FLAGS = 14;
/** Values of an event suppression structure's flags (§2.8.14): {le16 place, le16 flags}. */
const EVENTS = { enable: 0, disable: 1, atDescriptor: 2 } as const;

/** A position in the ring, with its wrap counter. */
type Place = { readonly index: number; readonly wrap: boolean };

const WRAP = 0x8000;
const unpack = (packed: number): Place => ({ index: packed & ~WRAP, wrap: (packed & WRAP) !== 0 });
const pack = ({ index, wrap }: Place): number => index | (wrap ? WRAP : 0);

/** A packed virtqueue (virtio 1.3 §2.8). */
export class PackedRing implements Ring {
  readonly #memory: GuestMemory;
  readonly #queue: VirtioQueue;
  readonly #indirect: boolean;
  readonly #eventIdx: boolean;
  /** The next descriptor to take, and the next to write. Those in between have been taken, and not returned. */
  #available: Place;
  #used: Place;
  #published: Place;
  /** The position published when an interrupt was last considered; null initially. */
  #considered: Place | null = null;

  constructor(memory: GuestMemory, queue: VirtioQueue, features: bigint) {
    this.#memory = memory;
    this.#queue = queue;
    this.#indirect = (features & FEATURE.ringIndirectDesc) !== 0n;
    this.#eventIdx = (features & FEATURE.ringEventIdx) !== 0n;
    this.#available = unpack(queue.progress.lastAvail);
    this.#used = unpack(queue.progress.usedIndex);
    this.#published = this.#used;
  }

  get progress(): QueueProgress {
    return { lastAvail: pack(this.#available), usedIndex: pack(this.#used) };
  }

  take(): Chain | null {
    if (!this.#hasAvailable()) return null;
    const { size, descriptors } = this.#queue;
    const room = size - this.#distance(this.#used, this.#available);
    const chain = new Chain(this.#memory);
    let place = this.#available;
    for (;;) {
      if (chain.descriptors.length === room) {
        throw new RingError(`made a chain of more than the ${room} descriptors left of ${size}`);
      }
      const at = descriptors + DESCRIPTOR_BYTES * place.index;
      const raw = this.#memory.readable(at, DESCRIPTOR_BYTES).slice();
      place = this.#forward(place, 1);
      if (this.#add(chain, raw)) break;
    }
    this.#available = place;
    return chain;
  }

  retake({ unfinishedDescriptors = new Uint8Array() }: QueueProgress): Chain[] {
    const chains: Chain[] = [];
    let chain: Chain | null = null;
    for (let at = 0; at < unfinishedDescriptors.length; at += DESCRIPTOR_BYTES) {
      chain ??= new Chain(this.#memory);
      if (!this.#add(chain, unfinishedDescriptors.slice(at, at + DESCRIPTOR_BYTES))) continue;
      chains.push(chain);
      chain = null;
    }
    if (chain !== null) throw new RingError('left a chain without an end unfinished');
    return chains;
  }

  /** §2.8.6: the used descriptor replaces the first one that isn't used yet, whatever chain that belonged to. */
  giveBack({ id, descriptors }: Chain, length: number): void {
    const at = this.#queue.descriptors + DESCRIPTOR_BYTES * this.#used.index;
    this.#memory.writeU32(at + LENGTH, length);
    this.#memory.writeU16(at + ID, id);
    fence();
    const flags = (length > 0 ? DESCRIPTOR.write : 0) | (this.#used.wrap ? AVAIL | USED : 0);
    this.#memory.writeU16(at + FLAGS, flags);
    this.#used = this.#forward(this.#used, descriptors.length);
  }

  /** The driver has seen them already. */
  publish(): boolean {
    const before = this.#published;
    this.#published = this.#used;
    return pack(before) !== pack(this.#used);
  }

  /** §2.8.14. */
  wantsInterrupt(): boolean {
    // The driver writes its event suppression and then reads the ring; this is the other half.
    fence();
    const before = this.#considered;
    this.#considered = this.#published;
    const events = this.#memory.readU32(this.#queue.available);
    const flags = (events >>> 16) & 3;
    if (flags === EVENTS.disable) return false;
    if (flags !== EVENTS.atDescriptor || !this.#eventIdx || before === null) return true;
    const passed = this.#distance(unpack(events & 0xffff), this.#published);
    return passed >= 1 && passed <= this.#distance(before, this.#published);
  }

  enableKicks(): boolean {
    const [flags, place] = this.#eventIdx ? [EVENTS.atDescriptor, pack(this.#available)] : [EVENTS.enable, 0];
    this.#memory.writeU32(this.#queue.used, place + flags * 0x1_0000);
    // The driver makes a descriptor available and then reads this.
    fence();
    return this.#hasAvailable();
  }

  /** The chains' descriptors: those in the ring may be overwritten before a chain is returned. */
  unfinished(chains: Iterable<Chain>) {
    const all = [...chains].flatMap(({ descriptors }) => descriptors);
    if (all.length === 0) return {};
    const bytes = new Uint8Array(DESCRIPTOR_BYTES * all.length);
    for (const [index, raw] of all.entries()) bytes.set(raw, DESCRIPTOR_BYTES * index);
    return { unfinishedDescriptors: bytes };
  }

  #hasAvailable(): boolean {
    const { index, wrap } = this.#available;
    const flags = this.#memory.readU16(this.#queue.descriptors + DESCRIPTOR_BYTES * index + FLAGS);
    return ((flags & AVAIL) !== 0) === wrap && ((flags & USED) !== 0) !== wrap;
  }

  /** Adds a descriptor of the ring to the chain. @returns whether it is the last one */
  #add(chain: Chain, raw: Uint8Array): boolean {
    const descriptor = packedDescriptor(raw);
    chain.descriptors.push(raw);
    chain.id = descriptor.other;
    if (!(descriptor.flags & DESCRIPTOR.indirect)) {
      chain.add(descriptor);
      return !(descriptor.flags & DESCRIPTOR.next);
    }
    const { address, entries } = indirectTable(this.#memory, descriptor, this.#indirect);
    // The buffers are consecutive in the table, without links (§2.8.7).
    for (let index = 0; index < entries; index++) {
      const at = address + DESCRIPTOR_BYTES * index;
      const entry = packedDescriptor(this.#memory.readable(at, DESCRIPTOR_BYTES).slice());
      if (entry.flags & DESCRIPTOR.indirect) throw nestedIndirect();
      chain.add(entry);
    }
    return true;
  }

  #forward({ index, wrap }: Place, count: number): Place {
    const { size } = this.#queue;
    const next = index + count;
    return next < size ? { index: next, wrap } : { index: next - size, wrap: !wrap };
  }

  /**
   * The distance in descriptors from `from` to `to`, from 0 to twice the ring's size. Indices from the driver may be
   * invalid.
   */
  #distance(from: Place, to: Place): number {
    const { size } = this.#queue;
    const linear = ({ index, wrap }: Place) => (index + (wrap ? 0 : size)) % (2 * size);
    return (linear(to) + 2 * size - linear(from)) % (2 * size);
  }
}
