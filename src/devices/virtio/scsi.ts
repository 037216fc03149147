import type { AccessSize, Clock, DeviceState } from '../device.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../device-type.ts';
import { ScsiBus } from '../scsi/scsi-bus.ts';
import type { ScsiEvents } from '../scsi/scsi-device.ts';
import type { ScsiAddress, ScsiController, ScsiQueueKind } from '../scsi/scsi-host.ts';
import { MAX_TARGET } from '../scsi/scsi-host.ts';
import { booleanOf, DeviceStateError, numberOf } from '../state.ts';
import type { BlockQueue } from './block-backend.ts';
import { DiskErrorReports } from './disk-errors.ts';
import { virtioNames } from './qemu-names.ts';
import { SCSI_FEATURE, ScsiConfig, type ScsiConfigOptions } from './scsi-config.ts';
import { TRANSPORT_PROPERTIES, transportFields, withTransportFeatures } from './transport-options.ts';
import { VirtioPci } from './transport-pci.ts';
import type { RunningQueue, VirtioDevice, VirtioDriver, VirtioQueue } from './virtio-device.ts';

/** The queues that precede the request queues (virtio 1.3 §5.6.2). */
const FIXED_QUEUES = ['control', 'events'] as const;
const DEFAULT_QUEUE_SIZE = 256;
const MAX_REQUEST_QUEUES = 64;

/** VIRTIO_SCSI_T_* (§5.6.6.3). */
const EVENT = { transportReset: 1, paramChange: 3 } as const;

export type VirtioScsiOptions = ScsiConfigOptions & {
  readonly name: string;
  readonly transportFeatures: bigint;
  readonly queueSize: number;
  /** The driver can be notified of units that are added or removed, and of their parameters. */
  readonly hotplug: boolean;
  readonly paramChange: boolean;
  readonly clock: Clock;
};

/**
 * A SCSI host (virtio 1.3 §5.6). This is its control plane: features and config space. The host's controller serves its
 * queues off the machine thread.
 */
class VirtioScsi implements VirtioDevice, ScsiEvents {
  readonly name: string;
  readonly type = 'virtio-scsi';
  readonly deviceId = 8;
  readonly pciClass = 0x010000;
  readonly queueNames: readonly string[];
  readonly queueSizes: readonly number[];
  readonly features: bigint;
  readonly transportFeatures: bigint;
  readonly configSize = ScsiConfig.size;
  readonly bus: ScsiBus;
  onConfigChanged: (() => void) | null = null;
  readonly #config: ScsiConfig;
  readonly #controller: ScsiController;
  readonly #errors: DiskErrorReports;
  readonly #queues = new Set<BlockQueue>();
  /** The features negotiated with the driver. */
  #agreed = 0n;

  constructor(options: VirtioScsiOptions, controller: ScsiController) {
    const { queues, queueSize, hotplug, paramChange, clock } = options;
    this.name = options.name;
    this.transportFeatures = options.transportFeatures;
    this.#controller = controller;
    this.#config = new ScsiConfig(options);
    this.bus = new ScsiBus(controller, this, options.maxTarget);
    const requests = Array.from({ length: queues }, (_, index) =>
      queues === 1 ? 'requests' : `requests ${index}`,
    );
    this.queueNames = [...FIXED_QUEUES, ...requests];
    this.queueSizes = this.queueNames.map(() => queueSize);
    this.features = (hotplug ? SCSI_FEATURE.hotplug : 0n) | (paramChange ? SCSI_FEATURE.change : 0n);
    this.#errors = new DiskErrorReports({
      clock,
      queues: () => [...this.#queues],
      report: (text, disk) => this.bus.unit(disk)?.reportDiskErrors(text),
      failed: (errors, text) => this.bus.unit(errors.disk)?.diskFailed(errors, text),
      corruption: disk => this.bus.unit(disk)?.corruption ?? null,
    });
  }

  readConfig(offset: number, size: AccessSize): number {
    return this.#config.read(offset, size);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    if (this.#config.write(offset, size, value)) this.#setSizes();
  }

  negotiated(features: bigint): void {
    this.#agreed = features;
    if (features !== 0n) return;
    this.#config.reset();
    this.#setSizes();
    this.#controller.reset();
  }

  startQueue(queue: VirtioQueue, driver: VirtioDriver): RunningQueue {
    const kind: ScsiQueueKind = FIXED_QUEUES[queue.index] ?? 'requests';
    const running = this.#controller.startQueue(kind, queue, {
      features: driver.features,
      onBroken: driver.broken,
      onDiskErrors: () => this.#errors.collect(),
    });
    this.#queues.add(running);
    return {
      requestStop: onEnded => running.requestStop(onEnded),
      stop: limitMs => {
        this.#errors.collect();
        const progress = running.stop(limitMs);
        if (progress !== null) this.#queues.delete(running);
        return progress;
      },
      abandon: () => {
        this.#errors.collect();
        this.#queues.delete(running);
        return running.abandon();
      },
    };
  }

  transportReset(address: ScsiAddress, reason: number): boolean {
    const wanted = (this.#agreed & SCSI_FEATURE.hotplug) !== 0n;
    if (wanted) this.#controller.notify(EVENT.transportReset, address, reason);
    return wanted;
  }

  parametersChanged(address: ScsiAddress, sense: number): void {
    if (this.#agreed & SCSI_FEATURE.change) this.#controller.notify(EVENT.paramChange, address, sense);
  }

  save(): DeviceState {
    const { cdbSize, senseSize } = this.#config;
    return { cdbSize, senseSize, events: this.#controller.hasEvents };
  }

  load(state: DeviceState): void {
    const [cdbSize, senseSize] = [numberOf(state, 'cdbSize'), numberOf(state, 'senseSize')];
    const events = booleanOf(state, 'events');
    if (!ScsiConfig.isValid(cdbSize, senseSize)) throw new DeviceStateError('cdbSize', 'size of commands');
    this.#config.set(cdbSize, senseSize);
    this.#setSizes();
    // The missed events are not saved: a driver that has missed some rescans everything.
    if (events) this.#controller.missEvents();
  }

  close(): void {
    this.#controller.close();
  }

  #setSizes(): void {
    this.#controller.setSizes(this.#config.cdbSize, this.#config.senseSize);
  }
}

const options = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'virtio-scsi'),
    ...transportFields(z),
    queues: z
      .int()
      .min(1, 'at least 1 queue')
      .max(MAX_REQUEST_QUEUES, `at most ${MAX_REQUEST_QUEUES} queues`)
      .default(1)
      .describe('request queues, each with its own thread'),
    'virtqueue-size': z
      .int()
      .refine(size => [16, 32, 64, 128, 256, 512, 1024].includes(size), 'a power of two from 16 to 1024')
      .default(DEFAULT_QUEUE_SIZE)
      .describe('descriptors of each queue'),
    'seg-max': z
      .int()
      .min(1, 'at least 1 buffer')
      .max(1022, 'at most 1022 buffers')
      .optional()
      .describe('buffers of data in one request (default: as many as a queue has room for)'),
    'max-sectors': z
      .int()
      .min(1, 'at least 1 sector')
      .max(2 ** 32 - 1, 'at most 2^32 - 1 sectors')
      .default(0xffff)
      .describe('sectors of 512 bytes in one request'),
    'cmd-per-lun': z
      .int()
      .min(1, 'at least 1 command')
      .max(1024, 'at most 1024 commands')
      .default(128)
      .describe('most commands in flight for each disk'),
    'max-target': z
      .int()
      .min(0, 'a number from 0 to 255')
      .max(MAX_TARGET, 'a number from 0 to 255')
      .default(MAX_TARGET)
      .describe('the highest target number that guests scan for disks'),
    hotplug: z.boolean().default(true).describe('the driver is notified when disks are added or removed'),
    'param-change': z
      .boolean()
      .default(true)
      .describe('the driver is notified when the size of a disk changes'),
  });

export const virtioScsi: ConfigurableType<ReturnType<typeof options>> = {
  type: 'virtio-scsi',
  title: 'virtio SCSI controller',
  description: 'a controller for SCSI disks and CD drives, served by native threads',
  bus: 'pci',
  provides: { kind: 'scsi', first: 0, units: MAX_TARGET + 1 },
  libvirt: {
    element: 'controller',
    models: ['virtio-scsi', 'virtio-transitional', 'virtio-non-transitional'],
  },
  prefix: 'scsi',
  qemu: {
    devices: virtioNames('scsi'),
    properties: {
      num_queues: 'queues',
      virtqueue_size: 'virtqueue-size',
      max_sectors: 'max-sectors',
      cmd_per_lun: 'cmd-per-lun',
      hotplug: 'hotplug',
      param_change: 'param-change',
      ...TRANSPORT_PROPERTIES,
    },
  },
  config: options,
  queues: ({ queues }) => FIXED_QUEUES.length + queues,
  create(services, options, name) {
    const { queues, hotplug } = options;
    const queueSize = options['virtqueue-size'];
    const transportFeatures = withTransportFeatures(options);
    const settings: VirtioScsiOptions = {
      ...{ name, transportFeatures, queues, queueSize, hotplug },
      paramChange: options['param-change'],
      segMax: options['seg-max'] ?? queueSize - 2,
      maxSectors: options['max-sectors'],
      cmdPerLun: options['cmd-per-lun'],
      maxTarget: options['max-target'],
      clock: services.clock,
    };
    const scsi = new VirtioScsi(settings, services.scsi.createController());
    const device = new VirtioPci(scsi, services);
    return { device, pci: device.function, bus: scsi.bus, facts: [{ label: 'queues', value: queues }] };
  },
};
