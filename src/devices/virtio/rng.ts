import { randomFillSync } from 'node:crypto';
import type { Cancel, Clock, DeviceState, EventLoop } from '../device.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../device-type.ts';
import type { GuestMemory } from '../guest-memory.ts';
import { FEATURE } from './features.ts';
import { virtioNames } from './qemu-names.ts';
import { type Chain, QueueError, SplitQueue } from './queue.ts';
import type { QueueCounters } from './queue-counters.ts';
import { VirtioPci } from './transport-pci.ts';
import type {
  QueueProgress,
  RunningQueue,
  VirtioDevice,
  VirtioDriver,
  VirtioQueue,
} from './virtio-device.ts';

const QUEUE_SIZE = 64;
/** Limit per turn of the event loop, so that a guest asking for more doesn't delay other devices. */
const TURN = { bytes: 64 * 1024, chains: 64 } as const;

export type VirtioRngServices = {
  readonly memory: GuestMemory;
  readonly events: EventLoop;
  readonly clock: Clock;
  readonly eventFds: { signal(fd: number): void };
};

/** An entropy device (virtio 1.3 §5.4): fills the guest's buffers from the host's cryptographic generator. */
export class VirtioRng implements VirtioDevice {
  readonly name: string;
  readonly type = 'virtio-rng';
  readonly deviceId = 4;
  readonly pciClass = 0xff0000;
  readonly queueNames = ['requests'];
  readonly queueSizes = [QUEUE_SIZE];
  readonly features = 0n;
  readonly configSize = 0;
  readonly transportFeatures = FEATURE.ringIndirectDesc | FEATURE.ringEventIdx | FEATURE.ringReset;
  onConfigChanged: (() => void) | null = null;
  readonly #services: VirtioRngServices;

  constructor(name: string, services: VirtioRngServices) {
    this.name = name;
    this.#services = services;
  }

  readConfig(): number {
    return 0;
  }

  writeConfig(): void {}

  startQueue(queue: VirtioQueue, driver: VirtioDriver): RunningQueue {
    return new Service(this.#services, queue, driver);
  }

  save(): DeviceState {
    return {};
  }

  load(): void {}
}

/** Serves the request queue during one activation. */
class Service implements RunningQueue {
  readonly #services: VirtioRngServices;
  readonly #driver: VirtioDriver;
  readonly #queue: SplitQueue;
  readonly #counters: QueueCounters;
  readonly #kickFd: number;
  readonly #unwatch: Cancel;
  /** The next signal of the kick eventfd is the device's own, to continue where the last turn ended. */
  #continuing: boolean;

  constructor(services: VirtioRngServices, queue: VirtioQueue, driver: VirtioDriver) {
    this.#services = services;
    this.#driver = driver;
    const signal = (fd: number) => services.eventFds.signal(fd);
    this.#queue = new SplitQueue(services.memory, queue, driver.features, signal);
    this.#counters = queue.counters;
    this.#kickFd = queue.kickFd;
    this.#unwatch = services.events.watch(this.#kickFd, count => this.#onKick(count));
    // Buffers may be waiting from before a pause.
    this.#continuing = true;
    services.eventFds.signal(this.#kickFd);
  }

  /** It has stopped when `stop` is called. */
  requestStop(): void {
    this.#unwatch();
  }

  stop(): QueueProgress {
    this.#unwatch();
    return this.#queue.progress;
  }

  abandon(): QueueProgress {
    return this.stop();
  }

  #onKick(count: number): void {
    this.#counters.kicked(this.#continuing ? count - 1 : count);
    this.#continuing = false;
    try {
      if (!this.#serve()) return;
      this.#continuing = true;
      this.#services.eventFds.signal(this.#kickFd);
    } catch (error) {
      if (!(error instanceof QueueError)) throw error;
      this.#driver.broken(error.message);
    }
  }

  /** One turn. @returns whether there is more to do. */
  #serve(): boolean {
    let bytes = 0;
    let chains = 0;
    for (; bytes < TURN.bytes && chains < TURN.chains; chains++) {
      const chain = this.#queue.pop();
      if (chain === null) break;
      bytes += this.#fill(chain, TURN.bytes - bytes);
    }
    if (chains > 0) {
      this.#counters.batch();
      if (!this.#queue.kickWanted) this.#counters.kickSuppressed();
      if (this.#queue.interrupt()) this.#counters.interrupted();
      else this.#counters.interruptSuppressed();
    }
    return this.#queue.rearm();
  }

  /** Fills up to `budget` bytes of a chain's buffers; a partial fill is allowed (§5.4.6.1). @returns bytes filled. */
  #fill(chain: Chain, budget: number): number {
    if (chain.writable.length === 0) throw new QueueError('entropy request without a writable buffer');
    const began = this.#services.clock.now();
    this.#counters.taken();
    let written = 0;
    for (const { address, length } of chain.writable) {
      const part = Math.min(length, budget - written);
      if (part === 0) break;
      randomFillSync(this.#services.memory.writable(address, part));
      written += part;
    }
    this.#queue.push(chain, written);
    this.#counters.returned(Number(this.#services.clock.now() - began), written, 0, false);
    return written;
  }
}

const options = (z: Zod) => z.strictObject({ ...deviceFields(z, 'virtio-rng') });

export const virtioRng: ConfigurableType<ReturnType<typeof options>> = {
  type: 'virtio-rng',
  title: 'virtio entropy device',
  description: "random bytes for the guest, from the host's cryptographic generator",
  bus: 'pci',
  prefix: 'rng',
  definition: { key: 'rng' },
  libvirt: { element: 'rng', models: ['virtio', 'virtio-transitional', 'virtio-non-transitional'] },
  qemu: { devices: virtioNames('rng'), properties: {} },
  config: options,
  queues: () => 1,
  create(services, _options, name) {
    const device = new VirtioPci(new VirtioRng(name, services), services);
    return { device, pci: device.function };
  },
};
