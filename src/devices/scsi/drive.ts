import type { DiskErrors } from '../backends/disk.ts';
import { type DiskLimits, type DiskOptions, isHeld, limitsOf, savedLimits } from '../backends/disk.ts';
import type { Device, DeviceState } from '../device.ts';
import type { DiskControl, DriveControl } from '../device-type.ts';
import { booleanOf, DeviceStateError, numberOf, stateOf } from '../state.ts';
import type { BlockBackend } from '../virtio/block-backend.ts';
import type { QueueCounters } from '../virtio/queue-counters.ts';
import type { ScsiDevice, ScsiEvents } from './scsi-device.ts';
import type { ScsiAddress, ScsiController, ScsiIdentity, ScsiUnit, ScsiUnitState } from './scsi-host.ts';

/** CAPACITY DATA HAS CHANGED (SPC-4 annex F). */
const CAPACITY_CHANGED = 0x2a | (0x09 << 8);
/** The state of a drive that its driver has not touched, and that is not connected. */
const UNTOUCHED = { attentions: 0, mediaEvent: 0 } as const;

export type ScsiDriveOptions = {
  readonly name: string;
  /** What it reports about itself, given its medium, or null for none. */
  readonly identity: (disk: BlockBackend | null) => ScsiIdentity;
  /** The initial medium; null if none. */
  readonly medium: DiskOptions | null;
  readonly limits: DiskLimits;
  readonly open: (options: DiskOptions) => BlockBackend;
  /** Allocates the counters of its commands. */
  readonly allocateCounters: () => QueueCounters;
  readonly reportDiskErrors: (text: string | null) => void;
  /** Pauses the VM: requests wait until it is resumed. */
  readonly pause?: (reason: string) => void;
};

/**
 * A disk or a CD drive on a SCSI bus. The controller carries out its commands; this manages its medium and connection.
 */
export class ScsiDrive implements Device, ScsiDevice, DiskControl {
  readonly name: string;
  readonly #report: (text: string | null) => void;
  /** Whether the user has been notified of errors of the disk, and not of their end. */
  #failing = false;
  readonly #pause: (reason: string) => void;
  readonly #identity: ScsiIdentity;
  readonly #open: (options: DiskOptions) => BlockBackend;
  readonly #counters: QueueCounters;
  readonly #changed = new Set<() => void>();
  #medium: DiskOptions | null;
  #disk: BlockBackend | null;
  #limits: DiskLimits;
  #connection: {
    readonly unit: ScsiUnit;
    readonly address: ScsiAddress;
    readonly events: ScsiEvents;
  } | null = null;
  /** The state of the tray that screens were last notified of. */
  #shown = '';

  constructor(options: ScsiDriveOptions) {
    const { name, identity, medium, limits, open, allocateCounters, reportDiskErrors, pause } = options;
    this.name = name;
    this.#report = reportDiskErrors;
    this.#pause = pause ?? (() => {});
    this.#open = open;
    this.#medium = medium;
    this.#limits = limits;
    this.#disk = medium === null ? null : open(medium);
    try {
      this.#identity = identity(this.#disk);
      if (this.#disk !== null) this.#checkSize(this.#disk);
      this.#counters = allocateCounters();
    } catch (error) {
      this.#disk?.close();
      throw error;
    }
    this.#disk?.setLimits(limits);
  }

  get corruption(): string | null {
    return this.#disk?.corruption ?? null;
  }

  reportDiskErrors(text: string | null): void {
    this.#failing = text !== null;
    this.#report(text);
  }

  diskFailed({ access, errno }: DiskErrors, text: string): void {
    const policy = this.#medium?.policy;
    if (policy !== undefined && isHeld(policy, access, errno)) this.#pause(text);
  }

  connect(controller: ScsiController, address: ScsiAddress, events: ScsiEvents): void {
    const unit = controller.addUnit(address, this.#identity, this.#counters);
    try {
      if (this.#disk !== null) unit.insert(this.#disk, true);
    } catch (error) {
      unit.remove();
      throw error;
    }
    this.#connection = { unit, address, events };
    this.#shown = this.tray;
    unit.onTrayChanged = () => this.#trayChanged();
  }

  disconnect(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.unit.remove();
  }

  get identity(): ScsiIdentity {
    return this.#identity;
  }

  get medium(): DiskOptions | null {
    return this.#medium;
  }

  get disk(): BlockBackend | null {
    return this.#disk;
  }

  get limits(): DiskLimits {
    return this.#limits;
  }

  /** `open`, `locked` or `closed`. */
  get tray(): 'open' | 'locked' | 'closed' {
    const { trayOpen = false, locked = false } = this.#connection?.unit.state ?? {};
    return trayOpen ? 'open' : locked ? 'locked' : 'closed';
  }

  get file(): string | null {
    return this.#disk?.file ?? null;
  }

  resize(bytes: number): void {
    if (this.#disk === null) throw new Error(`${this.name} is empty`);
    this.#disk.resize(bytes);
    if (this.#connection === null) return;
    const { unit, address, events } = this.#connection;
    unit.capacityChanged();
    events.parametersChanged(address, CAPACITY_CHANGED);
  }

  setLimits(limits: DiskLimits): void {
    this.#disk?.setLimits(limits);
    this.#limits = limits;
  }

  /** The control of its medium; null if the medium cannot be changed. */
  get drive(): DriveControl | null {
    return this.#identity.removable ? this.#drive : null;
  }

  readonly #drive: DriveControl = {
    change: (medium, force) => this.#change(medium, force),
    onChanged: hook => {
      this.#changed.add(hook);
      return () => this.#changed.delete(hook);
    },
  };

  /** @throws an error for the user */
  #change(medium: DiskOptions | null, force: boolean): void {
    if (medium === null && this.#disk === null) throw new Error(`${this.name} is empty`);
    if (this.#disk !== null && this.tray === 'locked' && !force) {
      this.#connection!.unit.requestEject();
      throw new Error(
        `the guest has locked the tray of ${this.name}: it has been asked to release the medium; try again, or take it with --force`,
      );
    }
    const before = this.#disk;
    const disk = medium === null ? null : this.#open(medium);
    try {
      if (disk !== null) {
        this.#checkSize(disk);
        disk.setLimits(this.#limits);
        this.#connection?.unit.insert(disk, false);
      }
    } catch (error) {
      disk?.close();
      throw error;
    }
    if (disk === null) this.#connection?.unit.eject();
    this.#disk = disk;
    this.#medium = medium;
    before?.close();
    this.#shown = this.tray;
  }

  /** @throws an error for the user */
  #checkSize({ size }: BlockBackend): void {
    const { logicalBlock } = this.#identity;
    if (size < logicalBlock)
      throw new Error(`the disk of ${this.name} has ${size} bytes, less than one block of ${logicalBlock}`);
  }

  #trayChanged(): void {
    const { tray } = this;
    if (tray === this.#shown) return;
    this.#shown = tray;
    for (const hook of [...this.#changed]) hook();
  }

  /** The controller resets its units. */
  reset(): void {}

  save(): DeviceState {
    return {
      capacity: this.#disk?.size ?? null,
      limits: savedLimits(this.#limits),
      unit: { ...(this.#connection?.unit.state ?? UNTOUCHED) },
    };
  }

  load(state: DeviceState): void {
    const size = this.#disk?.size ?? null;
    if (state.capacity !== size) {
      const had = state.capacity === null ? 'was empty' : `had a disk of ${state.capacity} bytes`;
      const has = size === null ? 'is empty' : `has one of ${size}`;
      throw new DeviceStateError(
        `${this.name} ${had} in the saved machine, and now ${has}: attach the same disk`,
      );
    }
    const limits = limitsOf(stateOf(state, 'limits'));
    const unit = unitState(stateOf(state, 'unit'));
    if (this.#connection !== null) this.#connection.unit.state = unit;
    this.setLimits(limits);
  }

  close(): void {
    this.disconnect();
    this.#counters.release();
    if (this.#failing) this.reportDiskErrors(null);
    this.#disk?.close();
    this.#disk = null;
  }
}

/** @throws DeviceStateError */
function unitState(state: DeviceState): ScsiUnitState {
  return {
    attentions: numberOf(state, 'attentions', 0xf),
    mediaEvent: numberOf(state, 'mediaEvent', 3),
    writeCache: booleanOf(state, 'writeCache'),
    descriptorSense: booleanOf(state, 'descriptorSense'),
    trayOpen: booleanOf(state, 'trayOpen'),
    locked: booleanOf(state, 'locked'),
    subscribed: booleanOf(state, 'subscribed'),
  };
}
