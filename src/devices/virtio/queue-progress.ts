import type { DeviceState } from '../device.ts';
import { bytesOf, DeviceStateError, numberOf } from '../state.ts';
import type { QueueProgress } from './virtio-device.ts';

/** The wrap counter in a packed ring's position (virtio 1.3 §2.8.1). */
const WRAP = 0x8000;

/** A descriptor of a packed ring (§2.8.13): address, length, buffer ID, flags. */
const DESCRIPTOR_BYTES = 16;
const FLAGS = 14;
const NEXT = 0x1;

/** The position in a ring that the driver has just set up. Both wrap counters of a packed ring start at 1 (§2.8.1). */
export function initialProgress(packed: boolean): QueueProgress {
  return packed ? { lastAvail: WRAP, usedIndex: WRAP } : { lastAvail: 0, usedIndex: 0 };
}

export function saveProgress({
  lastAvail,
  usedIndex,
  unfinished,
  unfinishedDescriptors,
}: QueueProgress): DeviceState {
  const heads = new Uint8Array(Uint16Array.from(unfinished ?? []).buffer);
  return {
    lastAvail,
    usedIndex,
    unfinished: heads,
    unfinishedDescriptors: unfinishedDescriptors?.slice() ?? new Uint8Array(),
  };
}

/**
 * The position that `saveProgress` saved, in a ring of `size` entries. It must be a valid device position; whether the
 * ring has the chains is checked as they are served. @throws DeviceStateError
 */
export function loadProgress(state: DeviceState, size: number, packed: boolean): QueueProgress {
  const lastAvail = numberOf(state, 'lastAvail', 0xffff);
  const usedIndex = numberOf(state, 'usedIndex', 0xffff);
  const heads = bytesOf(state, 'unfinished');
  const descriptors = bytesOf(state, 'unfinishedDescriptors');
  const position = { lastAvail, usedIndex };
  return packed ? packedProgress(position, descriptors, size) : splitProgress(position, heads, size);
}

function splitProgress(position: QueueProgress, bytes: Uint8Array, size: number): QueueProgress {
  const most = Math.min((position.lastAvail - position.usedIndex) & 0xffff, size);
  const unfinished = [...new Uint16Array(bytes.slice(0, bytes.length & ~1).buffer)];
  if (bytes.length % 2 !== 0 || unfinished.length > most || unfinished.some(head => head >= size)) {
    throw new DeviceStateError('unfinished', `list of at most ${most} descriptors`);
  }
  return { ...position, ...(unfinished.length > 0 && { unfinished }) };
}

function packedProgress(position: QueueProgress, bytes: Uint8Array, size: number): QueueProgress {
  const [available, used] = [position.lastAvail & ~WRAP, position.usedIndex & ~WRAP];
  // The driver's side is ahead of the device's by the descriptors that were taken: less than one lap, or exactly one.
  const laps = (position.lastAvail & WRAP) === (position.usedIndex & WRAP) ? 0 : 1;
  const taken = available + laps * size - used;
  if (available >= size || used >= size || taken < 0 || taken > size) {
    throw new DeviceStateError('lastAvail', `position in a packed ring of ${size}`);
  }
  const count = bytes.length / DESCRIPTOR_BYTES;
  const isWhole = Number.isInteger(count) && (count === 0 || !continues(bytes, count - 1));
  if (!isWhole || count > taken) {
    throw new DeviceStateError(
      'unfinishedDescriptors',
      `list of at most ${taken} descriptors of whole chains`,
    );
  }
  return { ...position, ...(count > 0 && { unfinishedDescriptors: bytes.slice() }) };
}

/** Whether another descriptor of the same chain follows. */
function continues(descriptors: Uint8Array, index: number): boolean {
  return (descriptors[index * DESCRIPTOR_BYTES + FLAGS]! & NEXT) !== 0;
}
