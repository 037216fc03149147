import {
  type DiskLimits,
  type DiskOptions,
  isHeld,
  limitsOf,
  limitsText,
  savedLimits,
} from '../backends/disk.ts';
import { diskFacts } from '../backends/disk-facts.ts';
import type { DiskPort } from '../backends/disk-port.ts';
import type { DeviceState } from '../device.ts';
import type { DeviceFact, DiskControl, DriveControl } from '../device-type.ts';
import type { MachineServices } from '../machine-services.ts';
import { DeviceStateError, stateOf } from '../state.ts';
import type { BlockBackend } from '../virtio/block-backend.ts';
import { DiskErrorReports } from '../virtio/disk-errors.ts';
import type { QueueCounters } from '../virtio/queue-counters.ts';

export type DriveOptions = {
  /** The device's name, and its type for screens. */
  readonly name: string;
  readonly type: string;
  /** The initial medium; null if none. */
  readonly medium: DiskOptions | null;
  readonly limits: DiskLimits;
  /** The number of concurrent requests. */
  readonly depth: number;
  /** The block size in bytes, of which a medium's size must be a multiple. Default: 512. */
  readonly block?: number;
  /** Checks whether a medium fits. @throws an error for the user */
  readonly check?: (disk: BlockBackend) => void;
};

/** How the guest locks a drive's medium. */
export interface DriveLock {
  readonly locked: boolean;
  /** The user requests the medium, which the guest has locked. */
  requestEject(): void;
}

/**
 * The host's side of every drive whose model is on the machine thread: a medium that may be changed, a port to it,
 * limits, and reports of its errors.
 */
export class Drive implements DiskControl {
  readonly name: string;
  readonly #services: MachineServices;
  readonly #counters: QueueCounters;
  readonly #errors: DiskErrorReports;
  readonly #block: number;
  readonly #check: (disk: BlockBackend) => void;
  readonly #changed = new Set<() => void>();
  #medium: DiskOptions | null;
  #disk: BlockBackend | null;
  #port: DiskPort | null = null;
  #limits: DiskLimits;
  #isQuiesced = false;
  /** The lock of a drive whose medium can be changed; null if it cannot. */
  lock: DriveLock | null = null;
  /** Called when the drive has another medium, or none. */
  onMediumChanged: (() => void) | null = null;
  /** Called when the medium's size has changed. */
  onResized: (() => void) | null = null;

  constructor(services: MachineServices, options: DriveOptions) {
    const { name, type, medium, limits, depth, block = 512, check = () => {} } = options;
    this.name = name;
    this.#services = services;
    this.#block = block;
    this.#check = check;
    this.#medium = medium;
    this.#limits = limits;
    this.#counters = services.allocateQueueCounters({ device: name, type, queue: 'requests', size: depth });
    this.#errors = new DiskErrorReports({
      clock: services.clock,
      queues: () => (this.#port === null ? [] : [this.#port]),
      report: text => services.reportDiskErrors(name, text),
      failed: ({ access, errno }, text) => {
        const policy = this.#medium?.policy;
        if (policy !== undefined && isHeld(policy, access, errno)) services.pauseForDisk(name, text);
      },
      corruption: () => this.#disk?.corruption ?? null,
    });
    this.#disk = medium === null ? null : this.#open(medium);
    this.#openPort();
  }

  get medium(): DiskOptions | null {
    return this.#medium;
  }

  get disk(): BlockBackend | null {
    return this.#disk;
  }

  /** The medium's port; null if the drive is empty. */
  get port(): DiskPort | null {
    return this.#port;
  }

  get limits(): DiskLimits {
    return this.#limits;
  }

  get file(): string | null {
    return this.#disk?.file ?? null;
  }

  resize(bytes: number): void {
    if (this.#disk === null) throw new Error(`${this.name} is empty`);
    this.#disk.resize(bytes);
    this.onResized?.();
  }

  setLimits(limits: DiskLimits): void {
    this.#disk?.setLimits(limits);
    this.#limits = limits;
  }

  /** The control of its medium; null if the medium cannot be changed. */
  get drive(): DriveControl | null {
    return this.lock === null ? null : this.#control;
  }

  readonly #control: DriveControl = {
    change: (medium, force) => this.#change(medium, force),
    onChanged: hook => {
      this.#changed.add(hook);
      return () => this.#changed.delete(hook);
    },
  };

  /** The guest has opened, closed, locked or unlocked it: notifies screens. */
  changed(): void {
    for (const hook of this.#changed) hook();
  }

  quiesce(done: () => void): void {
    this.#isQuiesced = true;
    if (this.#port === null) done();
    else this.#port.quiesce(done);
  }

  resume(): void {
    this.#isQuiesced = false;
    this.#port?.resume();
  }

  /** Drops the requests to its port: its host has been reset, or replaced. */
  forget(): void {
    this.#port?.cancel(() => {});
  }

  save(): DeviceState {
    return { capacity: this.#disk?.size ?? 0, limits: savedLimits(this.#limits) };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const size = this.#disk?.size ?? 0;
    if (state.capacity !== size) {
      throw new DeviceStateError(
        `disk of ${this.name} has ${size} bytes, but the saved machine's had ${state.capacity}: attach the same disk`,
      );
    }
    this.setLimits(limitsOf(stateOf(state, 'limits')));
    this.forget();
  }

  close(): void {
    this.#port?.close();
    this.#port = null;
    this.#errors.close();
    this.#disk?.close();
    this.#counters.release();
  }

  /** What screens show about it. */
  get facts(): readonly DeviceFact[] {
    return [...diskFacts(this.#medium, this.#disk), { label: 'limits', value: limitsText(this.#limits) }];
  }

  /** @throws an error for the user */
  #open(medium: DiskOptions): BlockBackend {
    const disk = this.#services.backends.open('disk', medium);
    if (disk.size % this.#block !== 0) {
      disk.close();
      throw new Error(
        `disk ${medium.path} of ${this.name} has ${disk.size} bytes, not a multiple of ${this.#block}: pad it with \`truncate -s %${this.#block}\``,
      );
    }
    try {
      this.#check(disk);
    } catch (error) {
      disk.close();
      throw error;
    }
    disk.setLimits(this.#limits);
    return disk;
  }

  #openPort(): void {
    this.#port =
      this.#disk?.openPort({
        counters: this.#counters,
        onDiskErrors: () => this.#errors.collect(),
        onBroken: reason => this.#services.warn(`disk of ${this.name}: requests have failed: ${reason}`),
      }) ?? null;
    if (this.#isQuiesced) this.#port?.quiesce(() => {});
  }

  /** @throws an error for the user */
  #change(medium: DiskOptions | null, force: boolean): void {
    if (medium === null && this.#disk === null) throw new Error(`${this.name} is empty`);
    if (this.#disk !== null && this.lock?.locked && !force) {
      this.lock.requestEject();
      throw new Error(
        `the guest has locked the tray of ${this.name}: it has been asked to release the medium; try again, or take it with --force`,
      );
    }
    this.#replace(medium, medium === null ? null : this.#open(medium));
  }

  #replace(medium: DiskOptions | null, disk: BlockBackend | null): void {
    this.#port?.close();
    this.#disk?.close();
    this.#disk = disk;
    this.#medium = medium;
    this.#openPort();
    this.onMediumChanged?.();
  }
}
