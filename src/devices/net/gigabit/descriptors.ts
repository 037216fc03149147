import type { BusMaster } from '../../pci/bus-master.ts';
import { RCTL } from './registers.ts';

/** The unit of a ring's registers, in bytes: the size of most descriptors. */
export const UNIT_BYTES = 16;

/** The lowest bits of a receive descriptor's status (§3.2.3.1). IXSM: checksums were not verified. */
export const DESCRIPTOR_STATUS = { DD: 1 << 0, EOP: 1 << 1, IXSM: 1 << 2, VP: 1 << 3, PIF: 1 << 7 } as const;

/** A frame as it will be written to memory, and what its descriptors say about it. */
export type ReceivedFrame = {
  /** Valid until the next frame. */
  readonly bytes: Uint8Array;
  /** The bits of `DESCRIPTOR_STATUS` without DD and EOP. */
  readonly status: number;
  /** The tag that was stripped, or 0. */
  readonly tag: number;
  /** What was hashed to find its queue, 0 for nothing, and the hash. */
  hashType: number;
  hash: number;
  queue: number;
};

/** How a ring's receive descriptors look. */
export interface DescriptorFormat {
  /** The size of a descriptor, in units of 16 bytes. */
  readonly units: 1 | 2;
  /** The number of a frame's bytes from offset `at` on that the buffers of one descriptor take. */
  room(frame: ReceivedFrame, at: number): number;
  /**
   * Copies `length` bytes of the frame from offset `at` on to a descriptor's buffers, and marks it as done.
   * @returns whether the buffers could be reached
   */
  write(memory: BusMaster, descriptor: number, frame: ReceivedFrame, at: number, length: number): boolean;
}

/**
 * Copies bytes to the buffer whose address is at `pointer`. Nothing is copied if that is null, which skips a
 * descriptor. @returns whether the buffer could be reached
 */
export function copyToBuffer(memory: BusMaster, pointer: number, bytes: Uint8Array): boolean {
  const low = memory.readU32(pointer);
  const high = memory.readU32(pointer + 4);
  if (low === null || high === null) return false;
  if (bytes.length === 0 || (low === 0 && high === 0)) return true;
  const buffer = memory.writable(high * 2 ** 32 + low, bytes.length);
  buffer?.set(bytes);
  return buffer !== null;
}

/** The status of the descriptor that has a frame's bytes up to offset `end`. */
export function statusOf({ status, bytes }: ReceivedFrame, end: number): number {
  const { DD, EOP } = DESCRIPTOR_STATUS;
  return status | DD | (end === bytes.length ? EOP : 0);
}

/** Legacy receive descriptors (§3.2.3), with buffers whose size is in RCTL. */
export class LegacyFormat implements DescriptorFormat {
  readonly units = 1;
  readonly #bufferSize: () => number;

  constructor(bufferSize: () => number) {
    this.#bufferSize = bufferSize;
  }

  room(): number {
    return this.#bufferSize();
  }

  write(memory: BusMaster, descriptor: number, frame: ReceivedFrame, at: number, length: number): boolean {
    const isReached = copyToBuffer(memory, descriptor, frame.bytes.subarray(at, at + length));
    memory.writeU32(descriptor + 8, length);
    memory.writeU32(descriptor + 12, ((frame.tag << 16) | statusOf(frame, at + length)) >>> 0);
    return isReached;
  }
}

/** The buffer size of BSIZE and BSEX. */
export function bufferSize(control: number): number {
  const size = (control >>> RCTL.sizeShift) & 3;
  if ((control & RCTL.BSEX) === 0) return 2048 >> size;
  // 0 is reserved.
  return size === 0 ? 2048 : 32_768 >> size;
}
