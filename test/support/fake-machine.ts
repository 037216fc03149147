import { PortBus, type RegionLabel } from '../../src/devices/bus.ts';
import type { Cancel, MachineRequest, MsiMessage, MsiVector } from '../../src/devices/device.ts';
import type { MachineServices } from '../../src/devices/machine-services.ts';
import type { PciHost } from '../../src/devices/pci/pci-host.ts';
import type { BlockBackend } from '../../src/devices/virtio/block-backend.ts';
import type { QueueCount, QueueCounters } from '../../src/devices/virtio/queue-counters.ts';
import { noCharacters } from '../../src/vmm/backends/char/open-chars.ts';
import { machineBackends } from '../../src/vmm/backends/machine-backends.ts';
import { Chipset } from '../../src/vmm/chipset/chipset.ts';
import { AddressSpace } from '../../src/vmm/memory/address-space.ts';
import { DeviceBlock } from '../../src/vmm/memory/device-block.ts';
import { DirtyLog } from '../../src/vmm/memory/dirty-log.ts';
import { UNCOUNTED } from './counters.ts';
import { DeviceClock } from './device-clock.ts';
import { fakeBlock } from './fake-block.ts';
import { FakeBlockBackend } from './fake-block-backend.ts';
import { FakeDiscards } from './fake-discards.ts';
import { FakeEntropy } from './fake-entropy.ts';
import { FakeHostDevices } from './fake-host-device.ts';
import { FakeWire } from './fake-line.ts';
import { FakeMemory } from './fake-memory.ts';
import { FakeNetBackend } from './fake-net-backend.ts';
import { FakeScsiHost } from './fake-scsi.ts';
import { FakeTpm } from './fake-tpm.ts';

const MiB = 2 ** 20;

/** The counters of one virtqueue. */
class FakeQueueCounters implements QueueCounters {
  readonly slot: number;
  readonly counts = new Map<QueueCount, number>();
  released = false;

  constructor(slot: number) {
    this.slot = slot;
  }

  add(count: QueueCount, amount: number): void {
    this.counts.set(count, (this.counts.get(count) ?? 0) + amount);
  }

  release(): void {
    this.released = true;
  }
}

/** Eventfds as counters; `run` is a turn of the machine's event loop. */
class FakeEventFds {
  readonly counts = new Map<number, number>();
  readonly #watchers = new Map<number, (count: number) => void>();
  #next = 100;

  create = (): number => {
    this.counts.set(this.#next, 0);
    return this.#next++;
  };

  signal = (fd: number): void => {
    this.counts.set(fd, this.counts.get(fd)! + 1);
    for (const vector of this.vectors) if (vector.fds.has(fd)) this.#deliver(fd, vector);
  };

  close = (fd: number): void => {
    this.counts.delete(fd);
  };

  soon = (callback: () => void): void => queueMicrotask(callback);

  readonly vectors: FakeMsi[] = [];

  /** Watched eventfds. */
  get watched(): number {
    return this.#watchers.size;
  }

  watch = (fd: number, onSignal: (count: number) => void): Cancel => {
    if (this.#watchers.has(fd)) throw new Error(`fd ${fd} is watched already`);
    this.#watchers.set(fd, onSignal);
    return () => this.#watchers.delete(fd);
  };

  /** Calls back for every eventfd that is signaled now, once. @returns how many. */
  turn(): number {
    const ready = [...this.#watchers].filter(([fd]) => this.counts.get(fd)! > 0);
    for (const [fd, onSignal] of ready) {
      if (this.#watchers.get(fd) !== onSignal) continue;
      const count = this.counts.get(fd)!;
      this.counts.set(fd, 0);
      onSignal(count);
    }
    return ready.length;
  }

  /** Turns until nothing is signaled. Fails the test if a device never stops. */
  settle(): number {
    for (let turns = 0; turns < 10_000; turns++) if (this.turn() === 0) return turns;
    throw new Error('the event loop does not come to rest');
  }

  #deliver(fd: number, vector: FakeMsi): void {
    this.counts.set(fd, 0);
    vector.signal();
  }
}

/** An MSI vector that records what it sent. */
export class FakeMsi implements MsiVector {
  readonly sent: MsiMessage[] = [];
  readonly fds = new Set<number>();
  released = false;
  pending = false;
  #message: MsiMessage | null = null;

  configure(message: MsiMessage | null): void {
    this.#message = message;
    if (message !== null && this.pending) {
      this.pending = false;
      this.sent.push(message);
    }
  }

  clearPending(): void {
    this.pending = false;
  }

  signal(): void {
    if (this.#message === null) this.pending = true;
    else this.sent.push(this.#message);
  }

  connect(fd: number): void {
    if (this.fds.has(fd)) throw new Error(`fd ${fd} is connected already`);
    this.fds.add(fd);
  }

  disconnect(fd: number): void {
    if (!this.fds.delete(fd)) throw new Error(`fd ${fd} is not connected`);
  }

  release(): void {
    if (this.released) throw new Error('the vector has been released already');
    this.released = true;
    this.fds.clear();
  }
}

/**
 * A machine without KVM: buses, a PCI host where a real machine has one, and services that record calls. Its clock only
 * moves when the test moves it.
 */
export class FakeMachine {
  readonly memory: FakeMemory;
  readonly eventFds = new FakeEventFds();
  readonly entropy = new FakeEntropy();
  readonly scsi = new FakeScsiHost();
  readonly discards = new FakeDiscards();
  readonly clock = new DeviceClock();
  readonly lines = Array.from({ length: 24 }, () => new FakeWire());
  readonly requests: MachineRequest[] = [];
  readonly broken: string[] = [];
  readonly tpm = new FakeTpm();
  /** Devices that the host asked to unplug, each with the reason. */
  readonly unplugs: string[] = [];
  /** Reasons for which a disk has paused it. */
  readonly pauses: string[] = [];
  readonly diskErrors: string[] = [];
  /** Whether another timer has taken over the 8254's interrupt. */
  pitReplaced = false;
  readonly warnings: string[] = [];
  /** Host files, by path. */
  readonly files = new Map<string, Uint8Array>();
  readonly regions: RegionLabel[] = [];
  readonly queueCounters: FakeQueueCounters[] = [];
  /** By device and name: `blk0 resets`. */
  readonly statistics = new Map<string, number>();
  /** Doorbells handled in the kernel: eventfd by guest-physical address. */
  readonly doorbells = new Map<number, number>();
  readonly ports: PortBus;
  readonly memoryBus: AddressSpace;
  readonly chipset: Chipset;
  readonly services: MachineServices;
  /** The recorded devices (test/support/recorded-devices), at their addresses. */
  readonly hostDevices: FakeHostDevices;
  /** The back end that opening a disk returns. */
  disk: BlockBackend | null = null;
  readonly network = new FakeNetBackend();

  constructor(memory = new FakeMemory(1 * MiB)) {
    this.memory = memory;
    const counters = (label: RegionLabel) => {
      this.regions.push(label);
      return {
        ...UNCOUNTED,
        release: () => {
          this.regions.splice(this.regions.indexOf(label), 1);
        },
      };
    };
    this.ports = new PortBus({ counters });
    this.memoryBus = new AddressSpace({ counters });
    this.hostDevices = new FakeHostDevices({ space: this.memoryBus, signal: this.eventFds.signal });
    const request = (next: MachineRequest) => this.requests.push(next);
    const dirtyLog = new DirtyLog([], [this.memoryBus.memory]);
    this.services = {
      allocateMemory: (name, size, kind) =>
        new DeviceBlock(fakeBlock(name, size), kind, { space: this.memoryBus, dirtyLog }, () => {}),
      memory,
      clock: this.clock,
      clockOffsetMs: 0,
      sleepStates: { s3: true, s4: true },
      events: this.eventFds,
      request,
      reportBroken: (name, reason) => this.broken.push(`${name}: ${reason}`),
      warn: text => this.warnings.push(text),
      reportDiskErrors: (name, text) => this.diskErrors.push(`${name}: ${text}`),
      pauseForDisk: (name, reason) => this.pauses.push(`${name}: ${reason}`),
      requestUnplug: (name, reason) => this.unplugs.push(`${name}: ${reason}`),
      eventFds: this.eventFds,
      attachDoorbell: (address, fd) => this.#attachDoorbell(address, fd),
      allocateMsi: () => {
        const vector = new FakeMsi();
        this.eventFds.vectors.push(vector);
        return vector;
      },
      interruptLine: gsi => this.lines[gsi]!.end(),
      replacePit: isReplaced => {
        this.pitReplaced = isReplaced;
      },
      allocateQueueCounters: () => {
        const queue = new FakeQueueCounters(this.queueCounters.length);
        this.queueCounters.push(queue);
        return queue;
      },
      statistic: ({ device, name }) => {
        const statistic = `${device} ${name}`;
        this.statistics.set(statistic, 0);
        return {
          add: amount => this.statistics.set(statistic, this.statistics.get(statistic)! + amount),
          release: () => this.statistics.delete(statistic),
        };
      },
      firmware: null,
      entropy: this.entropy,
      scsi: this.scsi,
      discards: this.discards,
      readFile: path => {
        const bytes = this.files.get(path);
        if (bytes === undefined) throw new Error(`cannot open ${path}: no such file`);
        return bytes;
      },
      hostDevices: this.hostDevices,
      backends: machineBackends({
        disk: () => {
          if (this.disk instanceof FakeBlockBackend) this.disk.memory = memory;
          return this.disk!;
        },
        net: () => this.network,
        char: noCharacters,
        tpm: () => this.tpm,
      }),
    };
    const { ports, memoryBus, services } = this;
    this.chipset = new Chipset({ ports, memory: memoryBus, services, ramEnd: 2 ** 32 });
  }

  get pci(): PciHost {
    return this.chipset.pci;
  }

  /** The vectors in order of allocation. */
  get vectors(): FakeMsi[] {
    return this.eventFds.vectors;
  }

  #attachDoorbell(address: number, fd: number): Cancel {
    if (this.doorbells.has(address)) throw new Error('EEXIST');
    this.doorbells.set(address, fd);
    return () => this.doorbells.delete(address);
  }
}
