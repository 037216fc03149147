import type { AccessSize, Device, DeviceState, IoHandler } from '../device.ts';
import type { MachineServices } from '../machine-services.ts';
import type { Bar } from '../pci/bar.ts';
import { addEndpointCapability } from '../pci/capabilities.ts';
import { Msix } from '../pci/msix.ts';
import { PciFunction } from '../pci/pci-function.ts';
import { PowerManagement } from '../pci/power-management.ts';
import { DeviceStateError, stateOf } from '../state.ts';
import { CommonConfig } from './common-config.ts';
import { Doorbells } from './doorbells.ts';
import { NO_VECTOR } from './features.ts';
import { VirtioLifecycle } from './lifecycle.ts';
import { addVirtioCapabilities, type VirtioBarLayout } from './pci-capabilities.ts';
import { VirtioPciInterrupts } from './pci-interrupts.ts';
import { QueueSetup } from './queue-setup.ts';
import type { VirtioDevice } from './virtio-device.ts';

const VENDOR = 0x1af4;
/** Modern devices have the PCI device ID 0x1040 plus the virtio device ID (virtio 1.3 §4.1.2.1). */
const FIRST_DEVICE = 0x1040;

/** Each structure has its own page of the BAR. */
const PAGE_SHIFT = 12;
const PAGE = 2 ** PAGE_SHIFT;
const BAR_SIZE = 8 * PAGE;
const PAGES = { common: 0, isr: 1, device: 2, notify: 3, msixTable: 4, msixPending: 5 } as const;
const NOTIFY_MULTIPLIER = 4;

export type VirtioPciServices = Pick<
  MachineServices,
  | 'memory'
  | 'events'
  | 'eventFds'
  | 'attachDoorbell'
  | 'allocateMsi'
  | 'allocateQueueCounters'
  | 'reportBroken'
>;

/** The location of the virtio structures, in a function that has more than those. */
export type VirtioBar = {
  readonly index: number;
  /** Handles the first page of the BAR, before the structures. */
  readonly firstPage: IoHandler;
};

/** A virtio device as a PCI function (virtio 1.3 §4.1), modern only. */
export class VirtioPci implements Device, IoHandler {
  readonly name: string;
  readonly function: PciFunction;
  readonly #device: VirtioDevice;
  readonly #services: VirtioPciServices;
  readonly #bar: Bar;
  /** The pages of the BAR before the structures. */
  readonly #pagesBefore: number;
  readonly #firstPage: IoHandler | null;
  /** Null if the device only has pin interrupts. */
  readonly #msix: Msix | null;
  readonly #queues: readonly QueueSetup[];
  readonly #lifecycle: VirtioLifecycle;
  readonly #interrupts: VirtioPciInterrupts;
  readonly #common: CommonConfig;
  readonly #doorbells: Doorbells;
  /** A saved state has been loaded since it last ran. */
  #loaded = false;

  /** @param bar default: BAR 0, with only the structures */
  constructor(device: VirtioDevice, services: VirtioPciServices, bar?: VirtioBar) {
    this.name = device.name;
    this.#firstPage = bar?.firstPage ?? null;
    this.#pagesBefore = bar === undefined ? 0 : 1;
    this.#device = device;
    this.#services = services;
    this.#doorbells = new Doorbells((address, fd) => services.attachDoorbell(address, fd));
    this.#queues = device.queueSizes.map((maxSize, index) => {
      const queue = device.queueNames[index] ?? `queue ${index}`;
      const label = { device: device.name, type: device.type, queue, size: maxSize };
      const counters = services.allocateQueueCounters(label);
      const [kickFd, callFd] = [services.eventFds.create(), services.eventFds.create()];
      return new QueueSetup({ index, maxSize, kickFd, callFd, counters });
    });

    const id = FIRST_DEVICE + device.deviceId;
    this.function = new PciFunction(device.name, {
      vendor: VENDOR,
      device: id,
      revision: 1,
      classCode: device.pciClass,
      subsystemVendor: VENDOR,
      subsystem: id,
    });
    const index = bar?.index ?? 0;
    this.#bar = this.function.addBar(index, {
      kind: 'memory32',
      size: BAR_SIZE,
      handler: this,
      onMoved: () => this.#placeDoorbells(),
    });
    this.function.addInterruptPin();
    // In S3 it has no power. Since 6.9, Linux sets a virtio device up again afterward only if D3hot resets it as well.
    new PowerManagement(this.function, { softReset: true });
    addEndpointCapability(this.function);
    addVirtioCapabilities(this.function, this.#layout(index), this);

    this.#interrupts = new VirtioPciInterrupts(this.function, services.events, this.#queues);
    // One for each queue and one for config changes.
    const vectors = device.vectors ?? this.#queues.length + 1;
    this.#msix =
      vectors === 0
        ? null
        : new Msix(this.function, {
            vectors: Array.from({ length: vectors }, () => services.allocateMsi()),
            bar: index,
            tableOffset: this.#offsetOf('msixTable'),
            pendingOffset: this.#offsetOf('msixPending'),
            onEnable: () => this.#interrupts.update(),
          });
    this.#interrupts.start(this.#msix);

    this.#lifecycle = new VirtioLifecycle(device, this.#queues, services.memory, {
      onServing: () => this.#placeDoorbells(),
      onConfigInterrupt: () => this.#interrupts.configChanged(),
      onReset: () => {
        this.#interrupts.reset();
        this.#common.reset();
      },
      onQueueReset: queue => this.#interrupts.setQueueVector(queue.resources.index, NO_VECTOR),
      onBroken: reason => services.reportBroken(device.name, reason),
    });
    this.#common = new CommonConfig(this.#lifecycle, this.#interrupts);
    this.#lifecycle.busMaster = this.function.busMaster;
    this.function.onBusMaster(allowed => {
      this.#lifecycle.busMaster = allowed;
    });
    this.function.onBusReset(() => {
      this.#lifecycle.writeStatus(0);
      this.#msix?.reset();
    });
    device.onConfigChanged = () => this.#lifecycle.configChanged();
  }

  /** A guest's read of the BAR. */
  read(offset: number, size: AccessSize): number {
    const at = offset & (PAGE - 1);
    switch ((offset >>> PAGE_SHIFT) - this.#pagesBefore) {
      case -1:
        return this.#firstPage!.read(at, size);
      case PAGES.common:
        return this.#common.read(at, size);
      case PAGES.isr:
        return at === 0 ? this.#interrupts.readIsr() : 0;
      case PAGES.device:
        return at + size <= this.#device.configSize ? this.#device.readConfig(at, size) : 0;
      case PAGES.msixTable:
        return this.#msix?.readTable(at) ?? 0;
      case PAGES.msixPending:
        return this.#msix?.readPending(at, size) ?? 0;
      default:
        return 0;
    }
  }

  /** A guest's write to the BAR. */
  write(offset: number, size: AccessSize, value: number): void {
    const at = offset & (PAGE - 1);
    switch ((offset >>> PAGE_SHIFT) - this.#pagesBefore) {
      case -1:
        this.#firstPage!.write(at, size, value);
        break;
      case PAGES.common:
        this.#common.write(at, size, value);
        break;
      case PAGES.device:
        if (at + size <= this.#device.configSize && !this.#lifecycle.resetting) {
          this.#device.writeConfig(at, size, value);
        }
        break;
      case PAGES.notify:
        this.#notify(at);
        break;
      case PAGES.msixTable:
        this.#msix?.writeTable(at, size, value);
        break;
    }
  }

  reset(): void {
    this.#lifecycle.reset();
    this.function.reset();
    this.#msix?.reset();
  }

  /** Stops using its queues. A request that the host delays also delays `done`, but nothing blocks. */
  quiesce(done: () => void): void {
    this.#lifecycle.quiesce(done);
  }

  resume(): void {
    // A saved state doesn't include calls that were signaled and not yet seen; a spurious interrupt is harmless.
    if (this.#loaded) for (const queue of this.#queues) this.#call(queue);
    this.#lifecycle.resume();
    this.#device.resumed?.(this.#loaded);
    this.#loaded = false;
  }

  save(): DeviceState {
    return {
      version: 1,
      function: this.function.save(),
      msix: this.#msix?.save() ?? {},
      lifecycle: this.#lifecycle.save(),
      interrupts: this.#interrupts.save(),
      common: this.#common.save(),
      device: this.#device.save(),
    };
  }

  load(state: DeviceState): void {
    if (state.version !== 1) throw new DeviceStateError('version', 'known version');
    this.#lifecycle.load(stateOf(state, 'lifecycle'));
    this.#device.load(stateOf(state, 'device'));
    this.function.load(stateOf(state, 'function'));
    this.#msix?.load(stateOf(state, 'msix'));
    this.#interrupts.load(stateOf(state, 'interrupts'));
    this.#common.load(stateOf(state, 'common'));
    this.#loaded = true;
  }

  /** Releases its resources of the machine. A queue that the host delays for a second is abandoned. */
  close(): void {
    const left = this.#lifecycle.close();
    // Its threads must have stopped using a file before that is closed.
    this.#device.close?.();
    this.#doorbells.detach();
    this.#interrupts.close();
    this.function.close();
    this.#msix?.release();
    for (const queue of this.#queues) {
      const { kickFd, callFd, counters } = queue.resources;
      this.#services.eventFds.close(kickFd);
      this.#services.eventFds.close(callFd);
      // An abandoned thread still counts.
      if (!left.has(queue)) counters.release();
    }
  }

  #call(queue: QueueSetup): void {
    if (queue.enabled) this.#services.eventFds.signal(queue.resources.callFd);
  }

  /** A notification that the kernel did not turn into an eventfd signal. */
  #notify(offset: number): void {
    const queue = this.#queues[Math.floor(offset / NOTIFY_MULTIPLIER)];
    if (queue && this.#lifecycle.serves(queue)) this.#services.eventFds.signal(queue.resources.kickFd);
  }

  /** Doorbells are attached to the notification addresses of the queues in use, while the BAR is mapped. */
  #placeDoorbells(): void {
    const base = this.#bar.address;
    const bus = this.function.bus;
    if (base === null || bus === null) {
      this.#doorbells.detach();
      return;
    }
    const notify = base + this.#offsetOf('notify');
    const doorbells = this.#queues
      .filter(queue => this.#lifecycle.serves(queue))
      .map(({ resources }) => ({ offset: NOTIFY_MULTIPLIER * resources.index, fd: resources.kickFd }))
      .filter(({ offset }) => this.#bar.answersAt(bus.space('memory'), notify + offset));
    this.#doorbells.place(notify, doorbells);
  }

  #offsetOf(structure: keyof typeof PAGES): number {
    return (this.#pagesBefore + PAGES[structure]) * PAGE;
  }

  #layout(bar: number): VirtioBarLayout {
    const { transportFeatures, configSize, queueSizes } = this.#device;
    return {
      bar,
      common: { offset: this.#offsetOf('common'), size: CommonConfig.size(transportFeatures) },
      isr: { offset: this.#offsetOf('isr'), size: 1 },
      device: { offset: this.#offsetOf('device'), size: configSize },
      notify: { offset: this.#offsetOf('notify'), size: NOTIFY_MULTIPLIER * queueSizes.length },
      notifyMultiplier: NOTIFY_MULTIPLIER,
    };
  }
}
