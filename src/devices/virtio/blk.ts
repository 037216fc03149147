import { diskFields } from '../backends/disk.ts';
import type { AccessSize, Clock, DeviceState } from '../device.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../device-type.ts';
import { DeviceStateError } from '../state.ts';
import type { BlockBackend, BlockQueue } from './block-backend.ts';
import { DiskErrorReports } from './disk-errors.ts';
import { FEATURE as TRANSPORT } from './features.ts';
import { virtioNames } from './qemu-names.ts';
import { VirtioPci } from './transport-pci.ts';
import type {
  QueueProgress,
  RunningQueue,
  VirtioDevice,
  VirtioDriver,
  VirtioQueue,
} from './virtio-device.ts';

/** Feature bits (virtio 1.3 §5.2.3). */
const FEATURE = {
  segMax: 1n << 2n,
  readonly: 1n << 5n,
  blockSize: 1n << 6n,
  flush: 1n << 9n,
  topology: 1n << 10n,
  multiqueue: 1n << 12n,
  discard: 1n << 13n,
  writeZeroes: 1n << 14n,
} as const;

/** Offsets in the config space (§5.2.4). */
const CONFIG = {
  capacity: 0,
  segMax: 12,
  blockSize: 20,
  physicalBlockExp: 24,
  minIoSize: 26,
  numQueues: 34,
  maxDiscardSectors: 36,
  maxDiscardSegments: 40,
  discardAlignment: 44,
  maxWriteZeroesSectors: 48,
  maxWriteZeroesSegments: 52,
  writeZeroesMayUnmap: 56,
  size: 60,
} as const;

const SECTOR = 512;
const QUEUE_SIZE = 256;
/** A request is a header, its data and a status byte: two descriptors besides the data's. */
const SEGMENTS = QUEUE_SIZE - 2;
/** 1 GiB: the most that one discard or write-zeroes request may cover. */
const MAX_RANGE_SECTORS = 2 ** 21;
const MAX_RANGES = 1;

export type VirtioBlkOptions = {
  readonly name: string;
  /** At most 20 ASCII characters. */
  readonly serial: string;
  /** Request queues. */
  readonly queues: number;
  readonly clock: Clock;
  /** Reports errors of the host's disk, and with null their end. */
  readonly reportDiskErrors: (text: string | null) => void;
};

/**
 * A block device (virtio 1.3 §5.2). This is its control plane: features and config space. The backend serves the request
 * queues off the machine thread.
 */
export class VirtioBlk implements VirtioDevice {
  readonly name: string;
  readonly type = 'virtio-blk';
  readonly deviceId = 2;
  readonly pciClass = 0x010000;
  readonly queueNames: readonly string[];
  readonly queueSizes: readonly number[];
  readonly features: bigint;
  readonly transportFeatures = TRANSPORT.ringIndirectDesc | TRANSPORT.ringEventIdx | TRANSPORT.ringReset;
  readonly configSize = CONFIG.size;
  onConfigChanged: (() => void) | null = null;
  readonly #config: DataView;
  readonly #backend: BlockBackend;
  readonly #serial: string;
  readonly #errors: DiskErrorReports;
  readonly #queues = new Set<BlockQueue>();

  constructor(options: VirtioBlkOptions, backend: BlockBackend) {
    this.name = options.name;
    this.#serial = options.serial;
    this.#backend = backend;
    this.#errors = new DiskErrorReports(options.clock, () => [...this.#queues], options.reportDiskErrors);
    const indices = Array.from({ length: options.queues }, (_, index) => index);
    this.queueNames = indices.map(index => (options.queues === 1 ? 'requests' : `requests ${index}`));
    this.queueSizes = indices.map(() => QUEUE_SIZE);
    this.features = featuresOf(backend, options.queues);
    this.#config = configOf(backend, options.queues);
  }

  readConfig(offset: number, size: AccessSize): number {
    if (size === 4) return this.#config.getUint32(offset, true);
    return size === 2 ? this.#config.getUint16(offset, true) : this.#config.getUint8(offset);
  }

  /** The driver can't write any field: the cache mode (CONFIG_WCE) is not offered. */
  writeConfig(): void {}

  startQueue(queue: VirtioQueue, driver: VirtioDriver): RunningQueue {
    const running = this.#backend.startQueue(queue, {
      features: driver.features,
      serial: this.#serial,
      limits: { segments: SEGMENTS, ranges: MAX_RANGES, rangeSectors: MAX_RANGE_SECTORS },
      onBroken: driver.broken,
      onDiskErrors: () => this.#errors.collect(),
    });
    this.#queues.add(running);
    const stopped = (progress: QueueProgress | null) => {
      if (progress !== null) this.#queues.delete(running);
      return progress;
    };
    return {
      requestStop: onEnded => running.requestStop(onEnded),
      stop: limitMs => {
        this.#errors.collect();
        return stopped(running.stop(limitMs));
      },
      abandon: () => {
        this.#errors.collect();
        this.#queues.delete(running);
        return running.abandon();
      },
    };
  }

  save(): DeviceState {
    return { capacity: this.#backend.size };
  }

  load(state: DeviceState): void {
    const size = this.#backend.size;
    if (state.capacity !== size) {
      throw new DeviceStateError(
        `disk of ${this.name} has ${size} bytes, but the saved machine's had ${state.capacity}: attach the same disk`,
      );
    }
  }

  close(): void {
    this.#backend.close();
  }
}

function featuresOf(backend: BlockBackend, queues: number): bigint {
  let features = FEATURE.segMax | FEATURE.blockSize | FEATURE.topology | FEATURE.flush;
  if (queues > 1) features |= FEATURE.multiqueue;
  if (backend.readonly) return features | FEATURE.readonly;
  if (backend.canDiscard) features |= FEATURE.discard;
  return features | FEATURE.writeZeroes;
}

function configOf(backend: BlockBackend, queues: number): DataView {
  const config = new DataView(new ArrayBuffer(CONFIG.size));
  // Discards should cover whole blocks of the backing store, which are also its optimal I/O size.
  const blockSectors = Math.max(1, Math.floor(backend.blockSize / SECTOR));
  config.setBigUint64(CONFIG.capacity, BigInt(Math.floor(backend.size / SECTOR)), true);
  config.setUint32(CONFIG.segMax, SEGMENTS, true);
  config.setUint32(CONFIG.blockSize, SECTOR, true);
  config.setUint8(CONFIG.physicalBlockExp, Math.floor(Math.log2(blockSectors)));
  config.setUint16(CONFIG.minIoSize, Math.min(blockSectors, 0xffff), true);
  config.setUint16(CONFIG.numQueues, queues, true);
  if (backend.readonly) return config;
  if (backend.canDiscard) {
    config.setUint32(CONFIG.maxDiscardSectors, MAX_RANGE_SECTORS, true);
    config.setUint32(CONFIG.maxDiscardSegments, MAX_RANGES, true);
    config.setUint32(CONFIG.discardAlignment, blockSectors, true);
    config.setUint8(CONFIG.writeZeroesMayUnmap, 1);
  }
  config.setUint32(CONFIG.maxWriteZeroesSectors, MAX_RANGE_SECTORS, true);
  config.setUint32(CONFIG.maxWriteZeroesSegments, MAX_RANGES, true);
  return config;
}

const options = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'virtio-blk'),
    ...diskFields(z),
    serial: z
      .string()
      .regex(/^[\x20-\x7e]{1,20}$/, 'a serial is 1 to 20 printable ASCII characters')
      .optional()
      .describe("the serial number that the guest reads; the device's name if absent"),
    queues: z
      .int()
      .min(1, 'at least 1 queue')
      .max(16, 'at most 16 queues')
      .default(1)
      .describe('request queues, each with its own thread'),
  });

export const virtioBlk: ConfigurableType<ReturnType<typeof options>> = {
  type: 'virtio-blk',
  title: 'virtio block device',
  description: 'a disk backed by a raw file or a block device of the host, served by native threads',
  bus: 'pci',
  backend: 'disk',
  definition: { key: 'disks', value: 'virtio' },
  libvirt: { element: 'disk', models: ['virtio'] },
  prefix: 'blk',
  qemu: {
    devices: virtioNames('blk'),
    properties: { drive: 'path', serial: 'serial', 'num-queues': 'queues' },
  },
  config: options,
  queues: ({ queues }) => queues,
  create(services, options, name) {
    const { path, format, readonly, cache, serial: given = '', queues } = options;
    const serial = given || name;
    const backend = services.backends.open('disk', { path, format, readonly, cache });
    const reportDiskErrors = (text: string | null) => services.reportDiskErrors(name, text);
    const settings = { name, serial, queues, clock: services.clock, reportDiskErrors };
    const device = new VirtioPci(new VirtioBlk(settings, backend), services);
    const facts = [
      { label: 'path', value: path },
      { label: 'size', value: backend.size, unit: 'bytes' },
      { label: 'format', value: format ?? 'raw' },
      { label: 'cache', value: cache },
      { label: 'read-only', value: readonly },
      { label: 'discard', value: !readonly && backend.canDiscard },
      { label: 'serial', value: serial },
      { label: 'queues', value: queues },
    ] as const;
    return { device, pci: device.function, facts };
  },
};
