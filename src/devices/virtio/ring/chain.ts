import type { GuestMemory } from '../../guest-memory.ts';

/** Descriptor flags, the same in both kinds of rings (virtio 1.3 §2.7.5, §2.8.13). */
export const DESCRIPTOR = { next: 1, write: 2, indirect: 4 } as const;
export const DESCRIPTOR_BYTES = 16;

/** Chains must not be longer than the queue (§2.7.5.3.1), but drivers ignore that for indirect ones. */
const MAX_INDIRECT = 1024;

/** How the driver violated the rules of a ring; the message completes a sentence that begins with "the driver". */
export class RingError extends Error {
  override readonly name = 'RingError';
}

/** Guest-physical, and verified to be memory when the chain was taken. */
export type ChainBuffer = { readonly address: number; readonly length: number };

/** The descriptor fields that both kinds of rings share. */
export type Descriptor = {
  readonly address: bigint;
  readonly length: number;
  readonly flags: number;
  /** The next descriptor in a split ring; the buffer ID in a packed one. */
  readonly other: number;
};

/** A descriptor chain: the buffers that the device reads, then those that it writes. */
export class Chain {
  /** Its ID in the used ring: the head in a split ring, the buffer ID in a packed one. */
  id = 0;
  /** Its descriptors in a packed ring, 16 bytes each, which used ones may overwrite before the chain is returned. */
  readonly descriptors: Uint8Array[] = [];
  readonly readable: ChainBuffer[] = [];
  readonly writable: ChainBuffer[] = [];
  readableBytes = 0;
  writableBytes = 0;
  readonly #memory: GuestMemory;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  /** @throws RingError */
  add({ address, length, flags }: Descriptor): void {
    const isWritable = (flags & DESCRIPTOR.write) !== 0;
    if (!isWritable && this.writableBytes > 0) {
      throw new RingError('put a readable descriptor after a writable one');
    }
    if (!this.#memory.contains(Number(address), length, isWritable ? 'write' : 'read')) {
      const kind = isWritable ? 'writable memory' : 'memory';
      throw new RingError(
        `put a buffer of ${length} bytes at 0x${address.toString(16)}, which is not all ${kind}`,
      );
    }
    if (length === 0) return;
    const buffer = { address: Number(address), length };
    if (isWritable) {
      this.writable.push(buffer);
      this.writableBytes += length;
    } else {
      this.readable.push(buffer);
      this.readableBytes += length;
    }
    if (this.readableBytes + this.writableBytes >= 2 ** 32)
      throw new RingError('made a chain of 4 GiB or more');
  }

  /**
   * A copy of at most `length` bytes that the driver wrote, from byte `at` on. @throws GuestMemoryError if they are no
   * longer memory
   */
  read(at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.readableBytes - at)));
    let done = 0;
    for (const { address, length } of from(this.readable, at)) {
      if (done === bytes.length) break;
      const count = Math.min(length, bytes.length - done);
      bytes.set(this.#memory.readable(address, count), done);
      done += count;
    }
    return bytes;
  }

  /** Writes from byte `at` on, as much as fits. @returns the number of bytes. @throws GuestMemoryError */
  write(at: number, bytes: Uint8Array): number {
    let done = 0;
    for (const { address, length } of from(this.writable, at)) {
      if (done === bytes.length) break;
      const count = Math.min(length, bytes.length - done);
      this.#memory.writable(address, count).set(bytes.subarray(done, done + count));
      done += count;
    }
    return done;
  }
}

/** The buffers from byte `at` on. */
function* from(buffers: readonly ChainBuffer[], at: number): Generator<ChainBuffer> {
  let skip = at;
  for (const { address, length } of buffers) {
    if (skip < length) yield { address: address + skip, length: length - skip };
    skip = Math.max(0, skip - length);
  }
}

/**
 * The descriptor at guest-physical `at`, in a table that is memory. {le64 address, le32 length, le16 flags, le16 next}
 * (§2.7.5).
 */
export function splitDescriptor(memory: GuestMemory, at: number): Descriptor {
  return {
    address: memory.readU64(at),
    length: memory.readU32(at + 8),
    flags: memory.readU16(at + 12),
    other: memory.readU16(at + 14),
  };
}

/** {le64 address, le32 length, le16 id, le16 flags} (§2.8.13). */
export function packedDescriptor(raw: Uint8Array): Descriptor {
  const view = new DataView(raw.buffer, raw.byteOffset, DESCRIPTOR_BYTES);
  return {
    address: view.getBigUint64(0, true),
    length: view.getUint32(8, true),
    flags: view.getUint16(14, true),
    other: view.getUint16(12, true),
  };
}

/** The table that an indirect descriptor points to: its address and its entries. @throws RingError */
export function indirectTable(
  memory: GuestMemory,
  { address, length, flags }: Descriptor,
  allowed: boolean,
): { readonly address: number; readonly entries: number } {
  if (!allowed) throw new RingError('used an indirect descriptor without having negotiated them');
  if (flags & DESCRIPTOR.next) throw new RingError('linked an indirect descriptor to another one');
  if (length === 0 || length % DESCRIPTOR_BYTES !== 0 || length > MAX_INDIRECT * DESCRIPTOR_BYTES) {
    throw new RingError(`gave an indirect table of ${length} bytes`);
  }
  if (!memory.contains(Number(address), length)) {
    throw new RingError(
      `put an indirect table of ${length} bytes at 0x${address.toString(16)}, which is not all memory`,
    );
  }
  return { address: Number(address), entries: length / DESCRIPTOR_BYTES };
}

export function nestedIndirect(): RingError {
  return new RingError('put an indirect descriptor into an indirect table');
}

const fenced = new Int32Array(1);

/** Orders earlier writes before later reads, as seen by the guest's CPUs: a locked instruction. */
export function fence(): void {
  Atomics.add(fenced, 0, 1);
}
