import type { AccessSize, DeviceState } from '../device.ts';
import type { QueueCounters } from './queue-counters.ts';

/**
 * A virtio device behind some transport. The transport handles negotiation, queue addresses and interrupts (virtio 1.3
 * §2, §4.1); the device its features, its config space and the meaning of its queues.
 */
export interface VirtioDevice {
  /** Unique in the machine: `blk0`. */
  readonly name: string;
  /** Its type in the device table: `virtio-blk`. */
  readonly type: string;
  /** Virtio device ID (virtio 1.3 §5): 2 block, 4 entropy. */
  readonly deviceId: number;
  /** PCI class code, 24 bits: 0x010000 for a SCSI-class storage controller. */
  readonly pciClass: number;
  /** The purpose of each queue, in order: `requests`, `requests 1`. */
  readonly queueNames: readonly string[];
  /** The largest size of each queue, a power of two. */
  readonly queueSizes: readonly number[];
  /** The number of interrupt vectors; default: one for each queue, and one for config changes. */
  readonly vectors?: number | null;
  /** Device-specific feature bits offered (bits 0-23, 50-127). */
  readonly features: bigint;
  /**
   * Bits of the transport and the rings that the device can serve (`FEATURE`); VERSION_1 is offered by every device.
   */
  readonly transportFeatures: bigint;
  /** The size of the device-specific config space in bytes. */
  readonly configSize: number;
  /** `offset + size` is at most `configSize`. */
  readConfig(offset: number, size: AccessSize): number;
  writeConfig(offset: number, size: AccessSize, value: number): void;
  /** Set by the transport. The device calls it after it has changed its config space, to notify the driver. */
  onConfigChanged: (() => void) | null;
  /** The driver's features are final (FEATURES_OK); 0 after a reset. */
  negotiated?(features: bigint): void;
  /**
   * Serves a queue that the driver has set up: at DRIVER_OK, after a reset of the queue, or when the machine resumes.
   * It is checked once without waiting for a kick. @throws when it can't be served; the transport then sets NEEDS_RESET
   */
  startQueue(queue: VirtioQueue, driver: VirtioDriver): RunningQueue;
  /** It continues after a quiesce. @param wasLoaded whether a saved state was loaded in the meantime */
  resumed?(wasLoaded: boolean): void;
  save(): DeviceState;
  load(state: DeviceState): void;
  /** Called when the machine ends, and the queues have stopped or been abandoned: closes the back end. */
  close?(): void;
}

/** What a device knows about its driver, for one start of a queue. */
export type VirtioDriver = {
  /** Feature bits that both sides agreed on, including transport bits. */
  readonly features: bigint;
  /** The device detected a protocol violation by the driver: sets DEVICE_NEEDS_RESET (virtio 1.3 §2.1.1). */
  readonly broken: (reason: string) => void;
};

/** A queue that is being served, by a native thread or by the device itself. */
export interface RunningQueue {
  /**
   * Asks it to stop between two steps of its requests, without waiting. `onEnded` is called on the machine thread,
   * never from within this call, once it no longer uses the ring and `stop` can return its position. A later call
   * replaces `onEnded`.
   */
  requestStop(onEnded?: () => void): void;
  /**
   * Asks it to stop, and waits for at most `limitMs`; 0 doesn't wait. @returns its position; null if it has not stopped
   * yet and still uses the ring: call this again, or `abandon`
   */
  stop(limitMs: number): QueueProgress | null;
  /**
   * Abandons it because the host doesn't complete a request: it no longer touches the ring, but that request may still
   * write to its buffers, and the queue can't be started again before it has completed. @returns null; its position if
   * it has stopped after all
   */
  abandon(): QueueProgress | null;
}

/** One enabled virtqueue, as the driver set it up. Addresses are guest-physical and verified to be RAM. */
export type VirtioQueue = {
  readonly index: number;
  readonly size: number;
  /** Split: the descriptor table. Packed: the descriptor ring. */
  readonly descriptors: number;
  /** Split: the available ring. Packed: the driver's event suppression structure. */
  readonly available: number;
  /** Split: the used ring. Packed: the device's event suppression structure. */
  readonly used: number;
  /** Eventfd signaled by the driver's notification (kick). */
  readonly kickFd: number;
  /** Eventfd to signal for a used-buffer interrupt. */
  readonly callFd: number;
  /** Where to continue. */
  readonly progress: QueueProgress;
  readonly counters: QueueCounters;
};

/**
 * A device's position in a virtqueue. In a split one, `lastAvail` and `usedIndex` are free-running 16-bit indices. In a
 * packed one (virtio 1.3 §2.8.1), each has the index of a descriptor in bits 0 to 14 and the wrap counter in bit 15, as
 * in vhost: both are 0x8000 in a queue that has just been set up. `lastAvail` is the next descriptor to take,
 * `usedIndex` the next to write.
 */
export type QueueProgress = {
  readonly lastAvail: number;
  readonly usedIndex: number;
  /**
   * For a split virtqueue: heads of the chains that were taken and not returned, to be served first. Absent if there
   * are none.
   */
  readonly unfinished?: readonly number[];
  /**
   * For a packed virtqueue: the descriptors of those chains, 16 bytes each as they were in the ring, chain by chain in
   * any order. They may no longer be in the ring itself, where used descriptors overwrite them. Absent if there are
   * none.
   */
  readonly unfinishedDescriptors?: Uint8Array;
};
