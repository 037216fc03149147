import type { AccessSize, DeviceState } from '../device.ts';
import type { QueueCounters } from './queue-counters.ts';

/**
 * A virtio device behind some transport. The transport handles negotiation, queue addresses and interrupts (virtio 1.3 §2,
 * §4.1); the device its features, its config space and the meaning of its queues.
 */
export interface VirtioDevice {
  /** Unique in the machine: `blk0`. */
  readonly name: string;
  /** Its type in the registration table: `virtio-blk`. */
  readonly type: string;
  /** Virtio device ID (virtio 1.3 §5): 2 block, 4 entropy. */
  readonly deviceId: number;
  /** PCI class code, 24 bits: 0x010000 for a SCSI-class storage controller. */
  readonly pciClass: number;
  /** The purpose of each queue, in order: `requests`, `requests 1`. */
  readonly queueNames: readonly string[];
  /** The largest size of each queue, a power of two. */
  readonly queueSizes: readonly number[];
  /** Device-specific feature bits offered (bits 0-23, 50-127); the transport adds its own. */
  readonly features: bigint;
  /** Bytes of device-specific config space. */
  readonly configSize: number;
  /** `offset + size` is at most `configSize`. */
  readConfig(offset: number, size: AccessSize): number;
  writeConfig(offset: number, size: AccessSize, value: number): void;
  /**
   * DRIVER_OK was written, or the machine resumes: the device may use the queues, and checks each once without waiting for
   * a kick. @throws when it can't; the transport then calls `deactivate` and sets NEEDS_RESET.
   */
  activate(activation: Activation): void;
  /**
   * The queues must not be used once this returns. Called for reset and pause, also from within `broken`, and after an
   * `activate` that threw. @returns the position in each queue, in the activation's order.
   */
  deactivate(): QueueProgress[];
  save(): DeviceState;
  load(state: DeviceState): void;
  /** When the machine ends, after `deactivate`: closes the back end. */
  close?(): void;
}

export type Activation = {
  /** Feature bits both sides agreed on, transport bits included. */
  readonly features: bigint;
  /** The queues the driver enabled, in ascending order; an index may be missing. */
  readonly queues: readonly VirtioQueue[];
  /** Notifies the driver that the config space changed. */
  readonly configChanged: () => void;
  /** The device detected a protocol violation by the driver: sets DEVICE_NEEDS_RESET (virtio 1.3 §2.1.1). */
  readonly broken: (reason: string) => void;
};

/** One enabled virtqueue, as the driver set it up. Addresses are guest-physical and verified to be RAM. */
export type VirtioQueue = {
  readonly index: number;
  readonly size: number;
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
  /** Eventfd signaled by the driver's notification (kick). */
  readonly kickFd: number;
  /** Eventfd to signal for a used-buffer interrupt. */
  readonly callFd: number;
  /** Where to continue after a pause or restore; zeros after a reset. */
  readonly progress: QueueProgress;
  /** The queue's block in the VM's counters, for a native thread that serves it. */
  readonly counterSlot: number;
  /** The same block, for a device that serves the queue on the machine thread. */
  readonly counters: QueueCounters;
};

/**
 * A device's position in a virtqueue. In a split one, `lastAvail` and `usedIndex` are free-running 16-bit indices. In a packed one
 * (virtio 1.3 §2.8.1), each has the index of a descriptor in bits 0 to 14 and the wrap counter in bit 15, as vhost has it: both are
 * 0x8000 in a queue that has just been set up. The first has the next descriptor to take, the second the next to write.
 */
export type QueueProgress = {
  readonly lastAvail: number;
  readonly usedIndex: number;
  /** Of a split virtqueue: heads of the chains that were taken and not returned, to be served first. Absent if there are none. */
  readonly unfinished?: readonly number[];
  /**
   * Of a packed virtqueue: the descriptors of those chains, 16 bytes each as they were in the ring, chain by chain in any order. The
   * ring itself may no longer have them, because used descriptors are written over them. Absent if there are none.
   */
  readonly unfinishedDescriptors?: Uint8Array;
};
