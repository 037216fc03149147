import { sealedMemfd } from '../../memory/sealed-memfd.ts';
import * as libc from '../../native/libc.ts';
import type { SharedFrames } from './wire.ts';

/** A page of words, and 1 MiB of frames for each direction, laid out as in native/src/frame_ring.rs. */
const BYTES = 4096 + 2 * (1 << 20);

/** Memory for a wire's frames, whose pages are allocated on first use. The caller owns the fds. */
export function openSharedFrames(): SharedFrames {
  const room = libc.eventfd();
  try {
    return { memory: sealedMemfd('vring-frames', BYTES), room };
  } catch (error) {
    libc.close(room);
    throw error;
  }
}
