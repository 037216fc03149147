import {
  type DiskErrorPolicy,
  type DiskLimits,
  defaultErrorPolicy,
  diskFields,
  diskOptionsOf,
  errorPolicyOf,
  isHeld,
  limitsOf,
  limitsText,
  savedLimits,
} from '../backends/disk.ts';
import { diskFacts } from '../backends/disk-facts.ts';
import { bootFields } from '../boot-device.ts';
import type { AccessSize, Clock, DeviceState } from '../device.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../device-type.ts';
import { booleanOf, DeviceStateError, stateOf } from '../state.ts';
import { BLK_FEATURE, BlkConfig, blkFeatures } from './blk-config.ts';
import type { BlockBackend, BlockQueue, RequestLimits } from './block-backend.ts';
import { DiskErrorReports } from './disk-errors.ts';
import { virtioNames } from './qemu-names.ts';
import { TRANSPORT_PROPERTIES, transportFields, withTransportFeatures } from './transport-options.ts';
import { VirtioPci } from './transport-pci.ts';
import type {
  QueueProgress,
  RunningQueue,
  VirtioDevice,
  VirtioDriver,
  VirtioQueue,
} from './virtio-device.ts';

const QUEUE_SIZE = 256;
const LIMITS: RequestLimits = {
  /** A request is a header, its data and a status byte: two descriptors besides the data's. */
  segments: QUEUE_SIZE - 2,
  ranges: 1,
  /** 1 GiB: the most that one discard or write-zeroes request may cover. */
  rangeSectors: 2 ** 21,
};

export type VirtioBlkOptions = {
  readonly name: string;
  /** At most 20 ASCII characters. */
  readonly serial: string;
  readonly transportFeatures: bigint;
  /** The number of request queues. */
  readonly queues: number;
  /** The initial limits, until `setLimits`. */
  readonly limits: DiskLimits;
  readonly clock: Clock;
  /** Reports errors of the host's disk; null ends the report. */
  readonly reportDiskErrors: (text: string | null) => void;
  readonly policy?: DiskErrorPolicy;
  /** Pauses the VM: requests wait until it is resumed. */
  readonly paused?: (reason: string) => void;
};

/**
 * A block device (virtio 1.3 §5.2). This is its control plane: features and config space. The backend serves the
 * request queues off the machine thread.
 */
class VirtioBlk implements VirtioDevice {
  readonly name: string;
  readonly type = 'virtio-blk';
  readonly deviceId = 2;
  readonly pciClass = 0x010000;
  readonly queueNames: readonly string[];
  readonly queueSizes: readonly number[];
  readonly features: bigint;
  readonly transportFeatures: bigint;
  readonly configSize = BlkConfig.size;
  onConfigChanged: (() => void) | null = null;
  readonly #config: BlkConfig;
  readonly #backend: BlockBackend;
  readonly #serial: string;
  readonly #errors: DiskErrorReports;
  readonly #queues = new Set<BlockQueue>();
  /** The features negotiated with the driver. */
  #agreed = 0n;
  #limits: DiskLimits = {};

  constructor(options: VirtioBlkOptions, backend: BlockBackend) {
    this.name = options.name;
    this.transportFeatures = options.transportFeatures;
    this.#serial = options.serial;
    this.#backend = backend;
    const { policy = defaultErrorPolicy, paused = () => {} } = options;
    this.#errors = new DiskErrorReports({
      clock: options.clock,
      queues: () => [...this.#queues],
      report: options.reportDiskErrors,
      failed: ({ access, errno }, text) => {
        if (isHeld(policy, access, errno)) paused(text);
      },
      corruption: () => backend.corruption,
    });
    const indices = Array.from({ length: options.queues }, (_, index) => index);
    this.queueNames = indices.map(index => (options.queues === 1 ? 'requests' : `requests ${index}`));
    this.queueSizes = indices.map(() => QUEUE_SIZE);
    this.features = blkFeatures(backend, options.queues);
    this.#config = new BlkConfig(backend, options.queues, LIMITS);
    this.#setWriteback(true);
    this.setLimits(options.limits);
  }

  readConfig(offset: number, size: AccessSize): number {
    return this.#config.read(offset, size);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    if (this.#agreed & BLK_FEATURE.configWce && this.#config.isWriteback(offset, size)) {
      this.#setWriteback(value !== 0);
    }
  }

  negotiated(features: bigint): void {
    this.#agreed = features;
    // A driver that can't flush must not find a writeback cache (§5.2.5.2).
    const cannotFlush = features & BLK_FEATURE.configWce && !(features & BLK_FEATURE.flush);
    this.#setWriteback(!cannotFlush);
  }

  startQueue(queue: VirtioQueue, driver: VirtioDriver): RunningQueue {
    const running = this.#backend.startQueue(queue, {
      features: driver.features,
      serial: this.#serial,
      limits: LIMITS,
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

  /** The size of the disk is now `bytes`, a multiple of 512: notifies the driver. */
  resize(bytes: number): void {
    this.#backend.resize(bytes);
    this.#config.setCapacity(bytes);
    this.onConfigChanged?.();
  }

  /** The most that the guest gets of the disk. */
  get limits(): DiskLimits {
    return this.#limits;
  }

  setLimits(limits: DiskLimits): void {
    this.#backend.setLimits(limits);
    this.#limits = limits;
  }

  save(): DeviceState {
    return {
      capacity: this.#backend.size,
      writeback: this.#config.writeback,
      limits: savedLimits(this.#limits),
    };
  }

  load(state: DeviceState): void {
    const size = this.#backend.size;
    if (state.capacity !== size) {
      throw new DeviceStateError(
        `disk of ${this.name} has ${size} bytes, but the saved machine's had ${state.capacity}: attach the same disk`,
      );
    }
    const limits = limitsOf(stateOf(state, 'limits'));
    this.#setWriteback(booleanOf(state, 'writeback'));
    this.setLimits(limits);
  }

  close(): void {
    this.#backend.close();
  }

  /**
   * Sets the cache mode, which is visible only to a driver with CONFIG_WCE; one without FLUSH expects none (§5.2.6.2).
   */
  #setWriteback(on: boolean): void {
    this.#config.writeback = on;
    const cached = this.#agreed & BLK_FEATURE.configWce ? on : (this.#agreed & BLK_FEATURE.flush) !== 0n;
    this.#backend.setWriteThrough(!cached);
  }
}

const options = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'virtio-blk'),
    ...diskFields(z),
    ...bootFields(z),
    ...transportFields(z),
    serial: z
      .string()
      .regex(/^[\x20-\x7e]{1,20}$/, 'a serial is 1 to 20 printable ASCII characters')
      .optional()
      .describe("the serial number that the guest reads (default: the device's name)"),
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
  description: 'a disk backed by an image file or a block device of the host, served by native threads',
  bus: 'pci',
  backend: 'disk',
  definition: { key: 'disks', value: 'virtio' },
  libvirt: { element: 'disk', models: ['virtio'] },
  prefix: 'blk',
  qemu: {
    devices: virtioNames('blk'),
    properties: {
      ...{ drive: 'path', serial: 'serial', 'num-queues': 'queues', bootindex: 'bootindex' },
      ...TRANSPORT_PROPERTIES,
    },
  },
  config: options,
  queues: ({ queues }) => queues,
  create(services, options, name) {
    const { serial: given = '', queues } = options;
    const medium = diskOptionsOf(options);
    const serial = given || name;
    const backend = services.backends.open('disk', medium);
    const reportDiskErrors = (text: string | null) => services.reportDiskErrors(name, text);
    const transportFeatures = withTransportFeatures(options);
    const { limits = {} } = options;
    const { clock } = services;
    const paused = (reason: string) => services.pauseForDisk(name, reason);
    const settings = {
      name,
      serial,
      transportFeatures,
      queues,
      limits,
      clock,
      reportDiskErrors,
      policy: errorPolicyOf(options),
      paused,
    };
    const blk = new VirtioBlk(settings, backend);
    const device = new VirtioPci(blk, services);
    return {
      device,
      pci: device.function,
      boot: { kind: 'disk', index: options.bootindex, node: 'scsi', below: '/disk@0,0' },
      capabilities: {
        disk: {
          file: backend.file,
          resize: bytes => blk.resize(bytes),
          setLimits: limits => blk.setLimits(limits),
        },
      },
      get facts() {
        return [
          ...diskFacts(medium, backend),
          { label: 'serial', value: serial },
          { label: 'queues', value: queues },
          { label: 'limits', value: limitsText(blk.limits) },
        ] as const;
      },
    };
  },
};
