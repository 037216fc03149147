import type { AccessSize } from '../device.ts';
import type { BlockBackend, RequestLimits } from './block-backend.ts';

/** Feature bits (virtio 1.3 §5.2.3). */
export const BLK_FEATURE = {
  segMax: 1n << 2n,
  readonly: 1n << 5n,
  blockSize: 1n << 6n,
  flush: 1n << 9n,
  topology: 1n << 10n,
  /** The driver may choose between a writeback and a write-through cache. */
  configWce: 1n << 11n,
  multiqueue: 1n << 12n,
  discard: 1n << 13n,
  writeZeroes: 1n << 14n,
} as const;

/** Offsets in the config space (§5.2.4). */
const FIELD = {
  capacity: 0,
  segMax: 12,
  blockSize: 20,
  physicalBlockExp: 24,
  minIoSize: 26,
  writeback: 32,
  numQueues: 34,
  maxDiscardSectors: 36,
  maxDiscardSegments: 40,
  discardAlignment: 44,
  maxWriteZeroesSectors: 48,
  maxWriteZeroesSegments: 52,
  writeZeroesMayUnmap: 56,
} as const;

export const SECTOR = 512;

/** The features of a device for such a disk. */
export function blkFeatures(backend: BlockBackend, queues: number): bigint {
  let features = BLK_FEATURE.segMax | BLK_FEATURE.blockSize | BLK_FEATURE.topology | BLK_FEATURE.flush;
  if (queues > 1) features |= BLK_FEATURE.multiqueue;
  if (backend.readonly) return features | BLK_FEATURE.readonly;
  if (backend.canDiscard) features |= BLK_FEATURE.discard;
  return features | BLK_FEATURE.configWce | BLK_FEATURE.writeZeroes;
}

/** The config space of a virtio block device (§5.2.4). */
export class BlkConfig {
  static readonly size = 60;
  readonly #view = new DataView(new ArrayBuffer(BlkConfig.size));

  constructor(backend: BlockBackend, queues: number, limits: RequestLimits) {
    const view = this.#view;
    // Discards should cover whole blocks of the backing store, which are also its optimal I/O size.
    const blockSectors = Math.max(1, Math.floor(backend.blockSize / SECTOR));
    this.setCapacity(backend.size);
    view.setUint32(FIELD.segMax, limits.segments, true);
    view.setUint32(FIELD.blockSize, SECTOR, true);
    view.setUint8(FIELD.physicalBlockExp, Math.floor(Math.log2(blockSectors)));
    view.setUint16(FIELD.minIoSize, Math.min(blockSectors, 0xffff), true);
    view.setUint16(FIELD.numQueues, queues, true);
    if (backend.readonly) return;
    if (backend.canDiscard) {
      view.setUint32(FIELD.maxDiscardSectors, limits.rangeSectors, true);
      view.setUint32(FIELD.maxDiscardSegments, limits.ranges, true);
      view.setUint32(FIELD.discardAlignment, blockSectors, true);
      view.setUint8(FIELD.writeZeroesMayUnmap, 1);
    }
    view.setUint32(FIELD.maxWriteZeroesSectors, limits.rangeSectors, true);
    view.setUint32(FIELD.maxWriteZeroesSegments, limits.ranges, true);
  }

  read(offset: number, size: AccessSize): number {
    if (size === 4) return this.#view.getUint32(offset, true);
    return size === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint8(offset);
  }

  setCapacity(bytes: number): void {
    this.#view.setBigUint64(FIELD.capacity, BigInt(Math.floor(bytes / SECTOR)), true);
  }

  /** Whether a driver's access is to the cache mode, the only writable field. */
  isWriteback(offset: number, size: AccessSize): boolean {
    return offset === FIELD.writeback && size === 1;
  }

  get writeback(): boolean {
    return this.#view.getUint8(FIELD.writeback) !== 0;
  }

  set writeback(on: boolean) {
    this.#view.setUint8(FIELD.writeback, on ? 1 : 0);
  }
}
