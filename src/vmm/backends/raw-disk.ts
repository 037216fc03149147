import type { DiskLimits } from '../../devices/backends/disk.ts';
import type {
  BlockBackend,
  BlockQueue,
  BlockQueueOptions,
  DiskHandles,
} from '../../devices/virtio/block-backend.ts';
import type { VirtioQueue } from '../../devices/virtio/virtio-device.ts';
import { SystemError } from '../native/libc.ts';
import type { NativeVm } from '../native/native.ts';
import type { QueueThreads } from '../native/queue-threads.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { DiskError } from './disk-error.ts';
import type { FileIdentity } from './file-identity.ts';
import type { OpenDisk } from './open-disk.ts';
import { queueAdvice } from './queue-advice.ts';

const SERIAL_BYTES = 20;
const UNLIMITED = { operations: 0, operationsBurst: 0, bytes: 0, bytesBurst: 0 } as const;

/** What serves a disk, and what closes its file if nothing else does. */
type DiskParts = {
  readonly queues: QueueThreads;
  readonly native: NativeVm;
  readonly owner: ResourceOwner;
};

/** A raw image file or a block device. Its queues are served by native threads with io_uring. */
export class RawDisk implements BlockBackend {
  readonly file: FileIdentity;
  readonly readonly: boolean;
  readonly blockSize: number;
  readonly canDiscard: boolean;
  readonly #disk: OpenDisk;
  readonly #image: number;
  readonly #limiter: number;
  readonly #queues: QueueThreads;
  readonly #native: NativeVm;
  readonly #owner: ResourceOwner;

  constructor(disk: OpenDisk, readonly: boolean, { queues, native, owner }: DiskParts) {
    this.file = disk.file;
    this.readonly = readonly;
    this.blockSize = disk.blockSize;
    this.canDiscard = disk.canDiscard;
    this.#disk = disk;
    this.#queues = queues;
    this.#native = native;
    this.#owner = owner;
    this.#image = native.openImage(disk.fd, disk.size, readonly, disk.canDiscard);
    this.#limiter = native.createLimiter(UNLIMITED);
  }

  get handles(): DiskHandles {
    return { image: this.#image, limiter: this.#limiter };
  }

  get size(): number {
    return this.#disk.size;
  }

  startQueue(queue: VirtioQueue, options: BlockQueueOptions): BlockQueue {
    const serial = new Uint8Array(SERIAL_BYTES);
    new TextEncoder().encodeInto(options.serial, serial);
    const { segments, ranges, rangeSectors } = options.limits;
    const blk = {
      image: this.#image,
      limiter: this.#limiter,
      maxSegments: segments,
      maxRanges: ranges,
      maxRangeSectors: rangeSectors,
      serial,
    };
    try {
      return this.#queues.startBlk(queue, options.features, blk, options);
    } catch (error) {
      throw error instanceof SystemError ? new DiskError(queueAdvice(error.code)) : error;
    }
  }

  setWriteThrough(on: boolean): void {
    this.#native.setWriteThrough(this.#image, on);
  }

  resize(bytes: number): void {
    this.#native.resizeImage(this.#image, bytes);
    this.#disk.size = bytes;
  }

  setLimits(limits: DiskLimits): void {
    this.#native.setLimits(this.#limiter, {
      operations: limits.iops ?? 0,
      operationsBurst: limits['iops-burst'] ?? 0,
      bytes: limits.bps ?? 0,
      bytesBurst: limits['bps-burst'] ?? 0,
    });
  }

  close(): void {
    this.#native.closeImage(this.#image);
    this.#native.destroyLimiter(this.#limiter);
    this.#owner.closeFd(this.#disk.fd);
  }
}

/** The backend of an open disk, whose fd the owner takes over. */
export function openRawDisk(disk: OpenDisk, readonly: boolean, parts: DiskParts): RawDisk {
  parts.owner.ownFd(disk.fd);
  return new RawDisk(disk, readonly, parts);
}
