import type { DeviceState } from '../device.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../device-type.ts';
import type { EntropyLimit, EntropySource } from './entropy-source.ts';
import { virtioNames } from './qemu-names.ts';
import { TRANSPORT_PROPERTIES, transportFields, withTransportFeatures } from './transport-options.ts';
import { VirtioPci } from './transport-pci.ts';
import type { RunningQueue, VirtioDevice, VirtioDriver, VirtioQueue } from './virtio-device.ts';

const QUEUE_SIZE = 64;

/** QEMU's default: 65.536 s. */
const DEFAULT_PERIOD_MS = 2 ** 16;
const MAX_PERIOD_MS = 24 * 3600 * 1000;

export type VirtioRngOptions = {
  readonly name: string;
  readonly transportFeatures: bigint;
  readonly limit: EntropyLimit | null;
};

/** An entropy device (virtio 1.3 §5.4): its source fills the guest's buffers. */
class VirtioRng implements VirtioDevice {
  readonly name: string;
  readonly type = 'virtio-rng';
  readonly deviceId = 4;
  readonly pciClass = 0xff0000;
  readonly queueNames = ['requests'];
  readonly queueSizes = [QUEUE_SIZE];
  readonly features = 0n;
  readonly transportFeatures: bigint;
  readonly configSize = 0;
  onConfigChanged: (() => void) | null = null;
  readonly #limit: EntropyLimit | null;
  readonly #source: EntropySource;

  constructor({ name, transportFeatures, limit }: VirtioRngOptions, source: EntropySource) {
    this.name = name;
    this.transportFeatures = transportFeatures;
    this.#limit = limit;
    this.#source = source;
  }

  readConfig(): number {
    return 0;
  }

  writeConfig(): void {}

  startQueue(queue: VirtioQueue, { features, broken }: VirtioDriver): RunningQueue {
    return this.#source.startQueue(queue, { features, limit: this.#limit, onBroken: broken });
  }

  save(): DeviceState {
    return {};
  }

  load(): void {}
}

const options = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'virtio-rng'),
    ...transportFields(z),
    'max-bytes': z
      .int()
      .min(1, 'at least 1 byte')
      .max(2 ** 50, 'at most 2^50 bytes')
      .optional()
      .describe('the most bytes that the guest gets in each period'),
    period: z
      .int()
      .min(1, 'at least 1 millisecond')
      .max(MAX_PERIOD_MS, 'at most a day')
      .optional()
      .describe('milliseconds (default: 65536)'),
  });

export const virtioRng: ConfigurableType<ReturnType<typeof options>> = {
  type: 'virtio-rng',
  title: 'virtio entropy device',
  description: "random bytes for the guest, from the host's cryptographic generator",
  bus: 'pci',
  definition: { key: 'rng' },
  libvirt: { element: 'rng', models: ['virtio'] },
  prefix: 'rng',
  qemu: {
    devices: virtioNames('rng'),
    properties: { 'max-bytes': 'max-bytes', period: 'period', ...TRANSPORT_PROPERTIES },
  },
  config: options,
  create(services, options, name) {
    const { 'max-bytes': bytes, period: periodMs = DEFAULT_PERIOD_MS } = options;
    const limit = bytes === undefined ? null : { bytes, periodMs };
    const transportFeatures = withTransportFeatures(options);
    const device = new VirtioPci(
      new VirtioRng({ name, transportFeatures, limit }, services.entropy),
      services,
    );
    const rate = limit === null ? 'none' : `${limit.bytes} bytes in ${limit.periodMs} ms`;
    return { device, pci: device.function, facts: [{ label: 'limit', value: rate }] };
  },
};
