import type { DeviceState } from '../device.ts';
import type { GuestMemory } from '../guest-memory.ts';
import { numberOf } from '../state.ts';
import type { QueueCounters } from './queue-counters.ts';
import { initialProgress, loadProgress, saveProgress } from './queue-progress.ts';
import type { QueueProgress, VirtioQueue } from './virtio-device.ts';

/** The three parts of a virtqueue: alignment and bytes for `size` entries. */
const LAYOUT = {
  /** Virtio 1.3 §2.7. */
  split: [
    { part: 'descriptors', name: 'descriptors', align: 16, bytes: (size: number) => 16 * size },
    { part: 'available', name: 'available', align: 2, bytes: (size: number) => 6 + 2 * size },
    { part: 'used', name: 'used', align: 4, bytes: (size: number) => 6 + 8 * size },
  ],
  /** §2.8.10.1 */
  packed: [
    { part: 'descriptors', name: 'descriptor ring', align: 16, bytes: (size: number) => 16 * size },
    { part: 'available', name: 'driver area', align: 4, bytes: () => 4 },
    { part: 'used', name: 'device area', align: 4, bytes: () => 4 },
  ],
} as const;

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
  /** The driver has reset this queue, and the device has not finished the reset (virtio 1.3 §2.6.1). */
  resetting = false;
  size = 0;
  descriptors = 0;
  available = 0;
  used = 0;
  /** The device's position in the ring, as reported when it stopped; null at the ring's start. */
  progress: QueueProgress | null = null;

  constructor(resources: QueueResources) {
    this.resources = resources;
    this.reset();
  }

  reset(): void {
    this.enabled = false;
    this.resetting = false;
    this.size = this.resources.maxSize;
    this.descriptors = 0;
    this.available = 0;
    this.used = 0;
    this.progress = null;
  }

  /** What is wrong with the queue's setup, or null. */
  problem(memory: GuestMemory, packed: boolean): string | null {
    const { size } = this;
    const { index, maxSize } = this.resources;
    if (size === 0 || size > maxSize) return `queue ${index}: size ${size} is not from 1 to ${maxSize}`;
    if (!packed && (size & (size - 1)) !== 0) return `queue ${index}: size ${size} is not a power of two`;
    for (const { part, name, align, bytes } of LAYOUT[packed ? 'packed' : 'split']) {
      const address = this[part];
      if (address % align !== 0) return `queue ${index}: ${name} at ${hex(address)} not aligned to ${align}`;
      const access = part === 'used' || (packed && part === 'descriptors') ? 'write' : 'read';
      if (!memory.contains(address, bytes(size), access)) {
        return `queue ${index}: ${name} at ${hex(address)} with ${bytes(size)} bytes not in RAM`;
      }
    }
    return null;
  }

  /** The queue as passed to the device. */
  describe(packed: boolean): VirtioQueue {
    const { size, descriptors, available, used } = this;
    const { index, kickFd, callFd, counters } = this.resources;
    const progress = this.progress ?? initialProgress(packed);
    return { index, size, descriptors, available, used, kickFd, callFd, progress, counters };
  }

  /** The queue must be stopped. */
  save(packed: boolean): DeviceState {
    const { enabled, size, descriptors, available, used, progress } = this;
    return {
      ...{ enabled, size, descriptors, available, used },
      ...saveProgress(progress ?? initialProgress(packed)),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState, packed: boolean): void {
    this.reset();
    this.enabled = state.enabled === true;
    this.size = numberOf(state, 'size', 0xffff);
    // Addresses past 2^53 are never in RAM, whatever their last digits.
    this.descriptors = numberOf(state, 'descriptors', 2 ** 64);
    this.available = numberOf(state, 'available', 2 ** 64);
    this.used = numberOf(state, 'used', 2 ** 64);
    this.progress = loadProgress(state, this.size, packed);
  }
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
