import type { BlockBackend, BlockQueue, BlockQueueOptions } from '../../devices/virtio/block-backend.ts';
import type { VirtioQueue } from '../../devices/virtio/virtio-device.ts';
import { SystemError } from '../native/libc.ts';
import { BLK_QUEUE_FLAG } from '../native/native.ts';
import type { QueueThreads } from '../native/queue-threads.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { DiskError } from './disk-error.ts';
import type { OpenDisk } from './open-disk.ts';

const SERIAL_BYTES = 20;

/** A raw image file or a block device. Its queues are served by native threads with io_uring. */
class RawDisk implements BlockBackend {
  readonly size: number;
  readonly readonly: boolean;
  readonly blockSize: number;
  readonly canDiscard: boolean;
  readonly #disk: OpenDisk;
  readonly #queues: QueueThreads;
  readonly #owner: ResourceOwner;

  constructor(disk: OpenDisk, readonly: boolean, queues: QueueThreads, owner: ResourceOwner) {
    this.size = disk.size;
    this.readonly = readonly;
    this.blockSize = disk.blockSize;
    this.canDiscard = disk.canDiscard;
    this.#disk = disk;
    this.#queues = queues;
    this.#owner = owner;
  }

  startQueue(queue: VirtioQueue, options: BlockQueueOptions): BlockQueue {
    const serial = new Uint8Array(SERIAL_BYTES);
    new TextEncoder().encodeInto(options.serial, serial);
    const config = {
      descriptors: BigInt(queue.descriptors),
      available: BigInt(queue.available),
      used: BigInt(queue.used),
      features: options.features,
      diskSize: BigInt(this.size),
      diskFd: this.#disk.fd,
      kickFd: queue.kickFd,
      callFd: queue.callFd,
      size: queue.size,
      counterSlot: queue.counterSlot,
      lastAvail: queue.progress.lastAvail,
      usedIndex: queue.progress.usedIndex,
      unfinished: queue.progress.unfinished ?? [],
      flags: this.#flags(),
      maxSegments: options.limits.segments,
      maxRanges: options.limits.ranges,
      maxRangeSectors: options.limits.rangeSectors,
      serial,
    };
    try {
      return this.#queues.startBlk(config, options);
    } catch (error) {
      throw error instanceof SystemError ? new DiskError(queueAdvice(error.code)) : error;
    }
  }

  close(): void {
    this.#owner.closeFd(this.#disk.fd);
  }

  #flags(): number {
    return (
      (this.readonly ? BLK_QUEUE_FLAG.readonly : 0) |
      (this.#disk.isBlockDevice ? BLK_QUEUE_FLAG.blockDevice : 0) |
      (this.canDiscard ? BLK_QUEUE_FLAG.discard : 0)
    );
  }
}

/** Why a queue's thread could not be started, and what to do. */
function queueAdvice(code: string): string {
  switch (code) {
    case 'EPERM':
    case 'ENOSYS':
      return 'this host does not allow io_uring: enable it with `sysctl kernel.io_uring_disabled=0` (Linux 5.15 or later)';
    case 'ENOMEM':
      return 'no memory for an io_uring: raise the limit of locked memory (`ulimit -l`), or free some memory';
    case 'EINPROGRESS':
      return 'a request from before the last reset is still in progress on the host: reset the device again when the disk answers';
    default:
      return `the thread for a disk queue cannot be started: ${code}`;
  }
}

/** The backend of an open disk, whose fd `owner` closes if nothing else does. */
export function openRawDisk(
  disk: OpenDisk,
  readonly: boolean,
  queues: QueueThreads,
  owner: ResourceOwner,
): BlockBackend {
  owner.ownFd(disk.fd);
  return new RawDisk(disk, readonly, queues, owner);
}
