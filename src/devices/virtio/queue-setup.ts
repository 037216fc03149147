import type { DeviceState } from '../device.ts';
import type { GuestMemory } from '../guest-memory.ts';
import { bytesOf, DeviceStateError, numberOf } from '../state.ts';
import type { QueueCounters } from './queue-counters.ts';
import type { QueueProgress, VirtioQueue } from './virtio-device.ts';

const NO_PROGRESS: QueueProgress = { lastAvail: 0, usedIndex: 0 };

/** The three parts of a split virtqueue: alignment and bytes for `size` entries (virtio 1.3 §2.7). */
const PARTS = [
  { part: 'descriptors', align: 16, bytes: (size: number) => 16 * size },
  { part: 'available', align: 2, bytes: (size: number) => 6 + 2 * size },
  { part: 'used', align: 4, bytes: (size: number) => 6 + 8 * size },
] as const;

export type QueueResources = {
  readonly index: number;
  readonly maxSize: number;
  readonly kickFd: number;
  readonly callFd: number;
  readonly counters: QueueCounters;
};

/** One virtqueue as set up by the driver. Untrusted until `problem` has checked it. */
export class QueueSetup {
  readonly resources: QueueResources;
  enabled = false;
  size = 0;
  descriptors = 0;
  available = 0;
  used = 0;
  /** The device's position in the ring; only updated when the device is deactivated. */
  progress = NO_PROGRESS;

  constructor(resources: QueueResources) {
    this.resources = resources;
    this.reset();
  }

  reset(): void {
    this.enabled = false;
    this.size = this.resources.maxSize;
    this.descriptors = 0;
    this.available = 0;
    this.used = 0;
    this.progress = NO_PROGRESS;
  }

  /** What is wrong with the queue's setup, or null. */
  problem(memory: GuestMemory): string | null {
    const { size } = this;
    const { index, maxSize } = this.resources;
    if (size === 0 || size > maxSize || (size & (size - 1)) !== 0) {
      return `queue ${index}: size ${size} is not a power of two from 1 to ${maxSize}`;
    }
    for (const { part, align, bytes } of PARTS) {
      const address = this[part];
      if (address % align !== 0) return `queue ${index}: ${part} at ${hex(address)} not aligned to ${align}`;
      if (!memory.contains(address, bytes(size))) {
        return `queue ${index}: ${part} at ${hex(address)} with ${bytes(size)} bytes not in RAM`;
      }
    }
    return null;
  }

  /** The queue as passed to the device. */
  describe(): VirtioQueue {
    const { size, descriptors, available, used, progress } = this;
    const { index, kickFd, callFd, counters } = this.resources;
    const counterSlot = counters.slot;
    return { index, size, descriptors, available, used, kickFd, callFd, progress, counterSlot, counters };
  }

  save(): DeviceState {
    const { enabled, size, descriptors, available, used, progress } = this;
    const { lastAvail, usedIndex, unfinished = [] } = progress;
    const heads = new Uint8Array(Uint16Array.from(unfinished).buffer);
    return { enabled, size, descriptors, available, used, lastAvail, usedIndex, unfinished: heads };
  }

  load(state: DeviceState): void {
    this.enabled = state.enabled === true;
    this.size = numberOf(state, 'size', 0xffff);
    // Addresses past 2^53 are never in RAM, whatever their last digits.
    this.descriptors = numberOf(state, 'descriptors', 2 ** 64);
    this.available = numberOf(state, 'available', 2 ** 64);
    this.used = numberOf(state, 'used', 2 ** 64);
    const lastAvail = numberOf(state, 'lastAvail', 0xffff);
    const usedIndex = numberOf(state, 'usedIndex', 0xffff);
    const bytes = bytesOf(state, 'unfinished');
    const heads = [...new Uint16Array(bytes.slice(0, bytes.length & ~1).buffer)];
    const most = Math.min((lastAvail - usedIndex) & 0xffff, this.size);
    if (bytes.length % 2 !== 0 || heads.length > most || heads.some(head => head >= this.size)) {
      throw new DeviceStateError('unfinished', `list of at most ${most} descriptors`);
    }
    this.progress = { lastAvail, usedIndex, ...(heads.length > 0 && { unfinished: heads }) };
  }
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
