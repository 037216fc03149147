import { MAX_RSS_TABLE, type ReceiveSideScaling } from '../../../../devices/backends/net.ts';

/** Most bytes that are hashed: both addresses of IPv6, and both ports. */
export const HASHED_BYTES = 36;

const WORD_BYTES = 4;
const HASHES_AT = 512;
/** For all values of one byte. */
export const HASH_BYTES = 256 * WORD_BYTES;

/**
 * What the steering program reads: types of hashes, the queue of frames without one, the mask of the table, the table
 * (le16), and for each byte that may be hashed the contribution of each of its values to the hash (32 bits).
 */
export const STEERING_TABLE = {
  types: 0,
  unclassified: 4,
  mask: 8,
  queues: 16,
  hashes: HASHES_AT,
  /** Whole pages, since it is mapped. */
  bytes: Math.ceil((HASHES_AT + HASHED_BYTES * HASH_BYTES) / 4096) * 4096,
} as const;

/** Writes the driver's settings into the table of a steering program. */
export function writeSteering(
  buffer: ArrayBuffer,
  { hashTypes, key, queues, unclassified }: ReceiveSideScaling,
): void {
  const view = new DataView(buffer);
  view.setUint32(STEERING_TABLE.types, hashTypes, true);
  view.setUint32(STEERING_TABLE.unclassified, unclassified, true);
  view.setUint32(STEERING_TABLE.mask, Math.min(queues.length, MAX_RSS_TABLE) - 1, true);
  for (const [index, queue] of queues.slice(0, MAX_RSS_TABLE).entries())
    view.setUint16(STEERING_TABLE.queues + 2 * index, queue, true);
  for (let at = 0; at < HASHED_BYTES; at++) {
    const windows = Array.from({ length: 8 }, (_, bit) => keyWindow(key, 8 * at + bit));
    for (let value = 0; value < 256; value++) {
      const hash = windows.reduce((sum, window, bit) => (value & (0x80 >> bit) ? sum ^ window : sum), 0);
      view.setUint32(STEERING_TABLE.hashes + at * HASH_BYTES + value * WORD_BYTES, hash >>> 0, true);
    }
  }
}

/**
 * 32 bits of a Toeplitz key from a given bit on; bit 0 is the highest of the first byte. A key that is too short is
 * padded with zeros.
 */
function keyWindow(key: Uint8Array, bit: number): number {
  const at = bit >> 3;
  const shift = bit & 7;
  const byte = (index: number) => key[at + index] ?? 0;
  const high = ((byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3)) >>> 0;
  return shift === 0 ? high : ((high << shift) | (byte(4) >> (8 - shift))) >>> 0;
}
