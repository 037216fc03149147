import { bytes } from '../../../text/units.ts';
import type { AccessSize, Cancel, DeviceState } from '../../device.ts';
import { type BalloonControl, type ConfigurableType, deviceFields, type Zod } from '../../device-type.ts';
import type { MachineServices } from '../../machine-services.ts';
import { bytesOf, DeviceStateError, numberOf } from '../../state.ts';
import { ModelQueue } from '../model-queue.ts';
import { virtioNames } from '../qemu-names.ts';
import { TRANSPORT_PROPERTIES, transportFields, withTransportFeatures } from '../transport-options.ts';
import { VirtioPci } from '../transport-pci.ts';
import type { RunningQueue, VirtioDevice, VirtioDriver, VirtioQueue } from '../virtio-device.ts';
import type { BalloonFacts, BalloonStats } from './facts.ts';
import { startStatsQueue } from './stats-queue.ts';

/** Virtio 1.3 §5.5.3. */
const FEATURE = {
  mustTellHost: 1n << 0n,
  statsQueue: 1n << 1n,
  deflateOnOom: 1n << 2n,
  pagePoison: 1n << 4n,
  reporting: 1n << 5n,
} as const;

/** The unit of the config space and of the queues, regardless of the page size on either side. */
const PAGE = 4096;

/** Offsets in the config space (§5.5.4). */
const CONFIG = { pages: 0, actual: 4, hintCommand: 8, poison: 12, size: 16 } as const;

const QUEUE_SIZE = 128;
const DEFAULT_STATS_SECONDS = 10;
/** No pages wait to be returned to the host. */
const NONE = new Uint8Array();

type BalloonOptions = {
  readonly name: string;
  readonly transportFeatures: bigint;
  readonly deflateOnOom: boolean;
  readonly pagePoison: boolean;
  readonly reporting: boolean;
  readonly statsSeconds: number;
  /** The initial target: bytes that the guest keeps; null for all. */
  readonly target: number | null;
};

type BalloonServices = Pick<MachineServices, 'memory' | 'events' | 'eventFds' | 'clock' | 'discards'>;

/** A traditional memory balloon (virtio 1.3 §5.5): returns memory that the guest does not need to the host. */
class VirtioBalloon implements VirtioDevice, BalloonControl {
  readonly name: string;
  readonly type = 'virtio-balloon';
  readonly deviceId = 5;
  readonly pciClass = 0xff0000;
  readonly queueNames: readonly string[];
  readonly queueSizes: readonly number[];
  readonly features: bigint;
  readonly transportFeatures: bigint;
  readonly configSize = CONFIG.size;
  onConfigChanged: (() => void) | null = null;
  readonly #services: BalloonServices;
  readonly #memory: number;
  readonly #statsMs: number;
  readonly #config = new DataView(new ArrayBuffer(CONFIG.size));
  readonly #hooks = new Set<() => void>();
  readonly #unfollow: Cancel;
  #agreed = 0n;
  /** The number of queues in service. */
  #serving = 0;
  #target: number;
  #stats: BalloonStats | null = null;

  constructor(options: BalloonOptions, services: BalloonServices) {
    const { name, transportFeatures, deflateOnOom, pagePoison, reporting, statsSeconds, target } = options;
    this.name = name;
    this.transportFeatures = transportFeatures;
    this.#services = services;
    this.#memory = services.memory.regions.reduce((sum, { size }) => sum + size, 0);
    this.#statsMs = 1000 * statsSeconds;
    this.#target = Math.min(target ?? this.#memory, this.#memory);
    this.features =
      // With it, the pages of an inflated balloon are returned to the host together, in any order.
      FEATURE.mustTellHost |
      FEATURE.statsQueue |
      (deflateOnOom ? FEATURE.deflateOnOom : 0n) |
      (pagePoison ? FEATURE.pagePoison : 0n) |
      (reporting ? FEATURE.reporting : 0n);
    this.queueNames = ['inflate', 'deflate', 'stats', ...(reporting ? ['reporting'] : [])];
    this.queueSizes = this.queueNames.map(() => QUEUE_SIZE);
    this.#showTarget();
    this.#unfollow = services.discards.onChanged(() => this.#changed());
  }

  readConfig(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#config.getUint8(offset + i);
    return value;
  }

  /** The driver writes how much it has given up, and the value with which it fills free pages. */
  writeConfig(offset: number, size: AccessSize, value: number): void {
    let rest = value;
    for (let at = offset; at < offset + size; at++) {
      if (this.#isWritable(at)) this.#config.setUint8(at, rest & 0xff);
      rest = Math.floor(rest / 256);
    }
    this.#changed();
  }

  negotiated(features: bigint): void {
    this.#agreed = features;
    if (features !== 0n) return;
    // The driver has all of its pages back.
    this.#services.discards.loadWaiting(NONE);
    this.#config.setUint32(CONFIG.actual, 0);
    this.#config.setUint32(CONFIG.poison, 0);
    this.#stats = null;
    this.#changed();
  }

  startQueue(queue: VirtioQueue, driver: VirtioDriver): RunningQueue {
    const running = this.#start(queue, driver);
    this.#serving++;
    this.#changed();
    const stopped = <Progress>(progress: Progress) => {
      if (progress !== null) {
        this.#serving--;
        this.#changed();
      }
      return progress;
    };
    return {
      requestStop: onEnded => running.requestStop(onEnded),
      stop: limitMs => stopped(running.stop(limitMs)),
      abandon: () => {
        this.#serving--;
        return running.abandon();
      },
    };
  }

  get facts(): BalloonFacts {
    const given = this.#config.getUint32(CONFIG.actual, true) * PAGE;
    return {
      memory: this.#memory,
      target: this.#target,
      current: Math.max(0, this.#memory - given),
      active: this.#serving > 0,
      stats: this.#stats,
      obstacle: this.#services.discards.obstacle,
    };
  }

  setTarget(target: number): void {
    if (target > this.#memory) {
      throw new Error(
        `the VM has ${bytes(this.#memory)} of memory, and a balloon adds none: give at most that much`,
      );
    }
    const { obstacle } = this.#services.discards;
    if (obstacle !== null && target < this.#memory) {
      throw new Error(`the host would get no memory of the guest: its memory ${obstacle}`);
    }
    this.#target = target;
    this.#showTarget();
    this.onConfigChanged?.();
    this.#changed();
  }

  onChanged(hook: () => void): Cancel {
    this.#hooks.add(hook);
    return () => this.#hooks.delete(hook);
  }

  save(): DeviceState {
    return {
      target: this.#target,
      actual: this.#config.getUint32(CONFIG.actual, true),
      poison: this.#config.getUint32(CONFIG.poison, true),
      waiting: this.#services.discards.saveWaiting(),
    };
  }

  load(state: DeviceState): void {
    const target = numberOf(state, 'target', this.#memory);
    if (target === 0) throw new DeviceStateError('target', 'target');
    const actual = numberOf(state, 'actual', 0xffff_ffff);
    const poison = numberOf(state, 'poison', 0xffff_ffff);
    // Versions that gave back all pages before they saved a state had none.
    const waiting = 'waiting' in state ? bytesOf(state, 'waiting') : NONE;
    if (!this.#services.discards.loadWaiting(waiting)) throw new DeviceStateError('waiting', 'set of pages');
    this.#target = target;
    this.#showTarget();
    this.#config.setUint32(CONFIG.actual, actual, true);
    this.#config.setUint32(CONFIG.poison, poison, true);
    this.#changed();
  }

  close(): void {
    this.#unfollow();
    this.#services.discards.loadWaiting(NONE);
  }

  #start(queue: VirtioQueue, driver: VirtioDriver): RunningQueue {
    const { features, broken } = driver;
    const { clock, discards } = this.#services;
    const role = this.#roleOf(queue.index);
    if (role === 'stats') {
      const onStats = (stats: BalloonStats) => {
        this.#stats = stats;
        this.#changed();
      };
      const options = { clock, intervalMs: this.#statsMs, onStats };
      return startStatsQueue(queue, driver, this.#services, options);
    }
    if (role === 'report' && !this.#mayDiscardReported) {
      return new ModelQueue(queue, driver, this.#services, model => {
        for (let chain = model.take(); chain !== null; chain = model.take()) model.giveBack(chain, 0);
      });
    }
    return discards.startQueue(queue, { features, role, onBroken: broken });
  }

  /** Drivers number only the queues of the features that they have accepted. */
  #roleOf(index: number): 'inflate' | 'deflate' | 'report' | 'stats' {
    const hasStats = (this.#agreed & FEATURE.statsQueue) !== 0n;
    const roles = ['inflate', 'deflate', ...(hasStats ? (['stats'] as const) : []), 'report'] as const;
    return roles[Math.min(index, roles.length - 1)]!;
  }

  /**
   * A reported page must keep its content, or get the value with which the driver fills pages (§5.5.6.6, §5.5.6.7):
   * zero, since that is what a discarded page reads as.
   */
  get #mayDiscardReported(): boolean {
    return this.#services.discards.leavesZeros && this.#config.getUint32(CONFIG.poison, true) === 0;
  }

  /** The value with which the driver fills pages cannot change once the device is in service. */
  #isWritable(at: number): boolean {
    if (at >= CONFIG.actual && at < CONFIG.actual + 4) return true;
    const isPoison = at >= CONFIG.poison && at < CONFIG.poison + 4;
    return isPoison && (this.#agreed & FEATURE.pagePoison) !== 0n && this.#serving === 0;
  }

  #showTarget(): void {
    this.#config.setUint32(CONFIG.pages, Math.floor((this.#memory - this.#target) / PAGE), true);
  }

  #changed(): void {
    for (const hook of this.#hooks) hook();
  }
}

const options = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'virtio-balloon'),
    ...transportFields(z),
    target: z
      .int()
      .min(2 ** 20, 'at least 1 MiB')
      .optional()
      .describe('bytes of memory to leave to the guest at first (default: all)'),
    'guest-stats-polling-interval': z
      .int()
      .min(0, 'seconds, or 0 for never')
      .max(86_400, 'at most a day')
      .default(DEFAULT_STATS_SECONDS)
      .describe('seconds between requests for the statistics of the guest; 0: never'),
    'deflate-on-oom': z
      .boolean()
      .default(true)
      .describe('the guest takes memory back before it kills programs for lack of it'),
    'free-page-reporting': z
      .boolean()
      .default(false)
      .describe('the guest also gives its free memory to the host until it needs it'),
    'page-poison': z
      .boolean()
      .default(true)
      .describe('the guest may report the value that it fills free pages with'),
  });

export const virtioBalloon: ConfigurableType<ReturnType<typeof options>> = {
  type: 'virtio-balloon',
  title: 'virtio memory balloon',
  description: 'reclaims memory that the guest does not need, and reports how it uses the rest',
  bus: 'pci',
  single: true,
  definition: { key: 'balloon' },
  libvirt: { element: 'memballoon', models: ['virtio', 'virtio-transitional', 'virtio-non-transitional'] },
  prefix: 'balloon',
  qemu: {
    devices: virtioNames('balloon'),
    properties: {
      'guest-stats-polling-interval': 'guest-stats-polling-interval',
      'deflate-on-oom': 'deflate-on-oom',
      'free-page-reporting': 'free-page-reporting',
      'page-poison': 'page-poison',
      ...TRANSPORT_PROPERTIES,
    },
  },
  config: options,
  queues: ({ 'free-page-reporting': reporting }) => (reporting ? 4 : 3),
  create(services, options, name) {
    const balloon = new VirtioBalloon(
      {
        name,
        transportFeatures: withTransportFeatures(options),
        deflateOnOom: options['deflate-on-oom'],
        pagePoison: options['page-poison'],
        reporting: options['free-page-reporting'],
        statsSeconds: options['guest-stats-polling-interval'],
        target: options.target ?? null,
      },
      services,
    );
    const device = new VirtioPci(balloon, services);
    const seconds = options['guest-stats-polling-interval'];
    return {
      device,
      pci: device.function,
      capabilities: { balloon },
      get facts() {
        const { target, current, obstacle } = balloon.facts;
        return [
          { label: 'target', value: target, unit: 'bytes' },
          { label: 'current', value: current, unit: 'bytes' },
          { label: 'statistics', value: seconds === 0 ? 'off' : `every ${seconds} s` },
          { label: 'deflate on OOM', value: options['deflate-on-oom'] },
          { label: 'free page reporting', value: options['free-page-reporting'] },
          ...(obstacle === null ? [] : [{ label: 'returns no memory', value: obstacle } as const]),
        ] as const;
      },
    };
  },
};
