import {
  type DiskErrorAction,
  type DiskLimits,
  type DiskOptions,
  type ImageFormat,
  isUncached,
} from '../../devices/backends/disk.ts';
import type { DiskPort, DiskPortOptions } from '../../devices/backends/disk-port.ts';
import type {
  BlockBackend,
  BlockQueue,
  BlockQueueOptions,
  DiskHandles,
} from '../../devices/virtio/block-backend.ts';
import type { VirtioQueue } from '../../devices/virtio/virtio-device.ts';
import { codeText } from '../../text/errno.ts';
import { ERROR_ACTION } from '../native/abi.ts';
import {
  closeImage,
  type ImageOptions,
  imageCorruption,
  openImage,
  openQcow2Image,
  resizeImage,
  setErrorPolicy,
  setWriteThrough,
} from '../native/images.ts';
import { SystemError } from '../native/libc.ts';
import { createLimiter, destroyLimiter, setLimits } from '../native/limiters.ts';
import type { NativeVm } from '../native/native-vm.ts';
import type { QueueThreads } from '../native/queue-threads.ts';
import { readCached } from '../native/read-cached.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { DiskError } from './disk-error.ts';
import type { FileIdentity } from './file-identity.ts';
import { fdsOf, type OpenDisk } from './open-disk.ts';
import type { OwnMemory } from './port-memory.ts';
import { queueAdvice } from './queue-advice.ts';
import { type PortParts, QueuePort } from './queue-port.ts';

const SERIAL_BYTES = 20;
const UNLIMITED = { operations: 0, operationsBurst: 0, bytes: 0, bytesBurst: 0 } as const;

/** What serves a disk, and what closes its file if nothing else does. */
type DiskParts = {
  readonly queues: QueueThreads;
  readonly native: NativeVm;
  readonly owner: ResourceOwner;
  /** Of ports. */
  readonly ports: Omit<PortParts, 'owner'>;
};

const ACTIONS: Readonly<Record<DiskErrorAction, number>> = ERROR_ACTION;

/** The parts of a guest's disk, apart from its file. */
export type ImageDiskOptions = Pick<
  DiskOptions,
  'readonly' | 'cache' | 'keepsDiscarded' | 'policy' | 'transient' | 'detectZeroes'
>;

/** An image file or a block device. Its queues are served by native threads with io_uring. */
export class ImageDisk implements BlockBackend {
  readonly file: FileIdentity;
  readonly readonly: boolean;
  readonly blockSize: number;
  readonly canDiscard: boolean;
  readonly format: ImageFormat;
  readonly backing: readonly string[];
  readonly #disk: OpenDisk;
  readonly #image: number;
  readonly #limiter: number;
  readonly #queues: QueueThreads;
  readonly #native: NativeVm;
  readonly #owner: ResourceOwner;
  readonly #ports: DiskParts['ports'];
  /** The file holds the disk's bytes as they are, and the host may cache some of them. */
  readonly #isCached: boolean;
  #isLimited = false;

  constructor(disk: OpenDisk, options: ImageDiskOptions, { queues, native, owner, ports }: DiskParts) {
    const { readonly, keepsDiscarded = false, policy = { rerror: 'report', werror: 'report' } } = options;
    this.file = disk.file;
    this.readonly = readonly;
    this.blockSize = disk.blockSize;
    this.canDiscard = disk.canDiscard && !keepsDiscarded;
    // The file that the user knows: not the overlay of a transient disk, but the disk below it.
    const base = options.transient ? disk.backing[0] : undefined;
    this.format = base?.format ?? disk.imageFormat;
    this.backing = disk.backing.filter(file => file !== base).map(({ path }) => path);
    this.#disk = disk;
    this.#queues = queues;
    this.#native = native;
    this.#owner = owner;
    this.#ports = ports;
    this.#isCached = disk.imageFormat === 'raw' && !isUncached(options.cache);
    this.#image = openDiskImage(disk, this.canDiscard, options, native);
    setErrorPolicy(native.handle, this.#image, ACTIONS[policy.rerror], ACTIONS[policy.werror]);
    this.#limiter = createLimiter(native.handle, UNLIMITED);
  }

  get handles(): DiskHandles {
    return { image: this.#image, limiter: this.#limiter };
  }

  get size(): number {
    return this.#disk.size;
  }

  get corruption(): string | null {
    return imageCorruption(this.#native.handle, this.#image) || null;
  }

  /** @param own memory of the queue's driver, if the driver is a port */
  startQueue(queue: VirtioQueue, options: BlockQueueOptions, own?: OwnMemory): BlockQueue {
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
      return this.#queues.startBlk(queue, options.features, blk, options, own);
    } catch (error) {
      throw error instanceof SystemError ? new DiskError(queueAdvice(error.code)) : error;
    }
  }

  /**
   * Fills `bytes` from the host's page cache, without waiting; not for a disk with limits.
   * @returns whether that was all of it
   */
  readCached(offset: number, bytes: Uint8Array): boolean {
    return this.#isCached && !this.#isLimited && readCached(this.#disk.fd, bytes, offset);
  }

  openPort(options: DiskPortOptions): DiskPort {
    return new QueuePort(this, options, { ...this.#ports, owner: this.#native });
  }

  setWriteThrough(on: boolean): void {
    setWriteThrough(this.#native.handle, this.#image, on);
  }

  resize(bytes: number): void {
    resizeImage(this.#native.handle, this.#image, bytes);
    this.#disk.size = bytes;
  }

  setLimits(limits: DiskLimits): void {
    this.#isLimited = limits.iops !== undefined || limits.bps !== undefined;
    setLimits(this.#native.handle, this.#limiter, {
      operations: limits.iops ?? 0,
      operationsBurst: limits['iops-burst'] ?? 0,
      bytes: limits.bps ?? 0,
      bytesBurst: limits['bps-burst'] ?? 0,
    });
  }

  close(): void {
    closeImage(this.#native.handle, this.#image);
    destroyLimiter(this.#native.handle, this.#limiter);
    for (const fd of fdsOf(this.#disk)) this.#owner.closeFd(fd);
  }
}

/** The backend of an open disk, whose fds the owner takes over. */
export function openImageDisk(disk: OpenDisk, options: ImageDiskOptions, parts: DiskParts): ImageDisk {
  for (const fd of fdsOf(disk)) parts.owner.ownFd(fd);
  return new ImageDisk(disk, options, parts);
}

/** @returns its handle. @throws DiskError */
function openDiskImage(
  disk: OpenDisk,
  canDiscard: boolean,
  { readonly, cache, transient = false, detectZeroes = 'off' }: ImageDiskOptions,
  native: NativeVm,
): number {
  const { fd, imageFormat, backing, size } = disk;
  const isDurable = cache === 'writethrough' || cache === 'directsync';
  const durability = transient || cache === 'unsafe' ? 'never' : isDurable ? 'always' : 'asked';
  const options: ImageOptions = { readonly, canDiscard, durability, detectZeroes };
  if (imageFormat === 'raw') return openImage(native.handle, fd, size, options);
  try {
    const chain = backing.map(({ fd, format }) => ({ fd, isQcow2: format === 'qcow2' }));
    return openQcow2Image(native.handle, [{ fd, isQcow2: true }, ...chain], options);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new DiskError(`the image cannot be used: ${codeText(error.code)}`);
  }
}
