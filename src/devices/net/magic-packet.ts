import { ADDRESS_BYTES, HEADER_BYTES } from './ethernet.ts';

const SYNC_BYTES = 6;
const REPEATS = 16;
const SEQUENCE_BYTES = SYNC_BYTES + REPEATS * ADDRESS_BYTES;

/**
 * The pattern of AMD's Magic Packet Technology that wakes a station: six bytes of ones, and 16 times its address,
 * anywhere in a frame.
 */
export class MagicSequence {
  readonly #bytes = Buffer.alloc(SEQUENCE_BYTES, 0xff);

  /** @param address of the station, which may change between calls */
  isIn(frame: Uint8Array, address: Uint8Array): boolean {
    // True of most frames: every frame that a card receives is checked here.
    if (frame.length < HEADER_BYTES + SEQUENCE_BYTES) return false;
    for (let at = SYNC_BYTES; at < SEQUENCE_BYTES; at++) this.#bytes[at] = address[at % ADDRESS_BYTES]!;
    return Buffer.from(frame.buffer, frame.byteOffset, frame.length).includes(this.#bytes);
  }
}
