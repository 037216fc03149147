import { ADDRESS_BYTES } from './ethernet.ts';

const SYNC_BYTES = 6;
const REPEATS = 16;

/** Whether a frame has, anywhere, what AMD's Magic Packet Technology wakes a station up by: six bytes of ones, and 16 times its address. */
export function isMagicPacket(frame: Uint8Array, address: Uint8Array): boolean {
  const sequence = Buffer.alloc(SYNC_BYTES + REPEATS * ADDRESS_BYTES, 0xff);
  for (let count = 0; count < REPEATS; count++) sequence.set(address, SYNC_BYTES + count * ADDRESS_BYTES);
  return Buffer.from(frame.buffer, frame.byteOffset, frame.length).includes(sequence);
}
