import type { DiskLimits, DiskOptions } from '../../backends/disk.ts';
import type { DiskPortError } from '../../backends/disk-port.ts';
import type { Device, DeviceState } from '../../device.ts';
import type { DeviceFact, DiskControl, DriveControl } from '../../device-type.ts';
import type { MachineServices } from '../../machine-services.ts';
import { booleanOf, numberOf, stateOf } from '../../state.ts';
import { Drive } from '../drive.ts';
import {
  driveFor,
  type FloppyDriveKind,
  type FloppyFormat,
  floppyDrives,
  formatFor,
  SECTOR_BYTES,
} from './media.ts';
import type { FloppyUnit } from './unit.ts';

export type FloppyDriveOptions = {
  readonly name: string;
  readonly services: MachineServices;
  /** Null for the kind that fits its first medium. */
  readonly kind: FloppyDriveKind | null;
  readonly medium: DiskOptions | null;
  readonly limits: DiskLimits;
};

type Done = (error: DiskPortError | null) => void;

/** A floppy disk drive with its medium: heads, disk change line, write protection. */
export class FloppyDrive implements Device, FloppyUnit, DiskControl {
  readonly name: string;
  readonly kind: FloppyDriveKind;
  readonly #drive: Drive;
  #format: FloppyFormat | null = null;
  #cylinder = 0;
  /** The heads have not moved over a medium since power-on, or since the medium was changed. */
  #isChanged = true;
  onMediumChanged: (() => void) | null = null;

  constructor({ name, services, kind, medium, limits }: FloppyDriveOptions) {
    this.name = name;
    let chosen = kind;
    this.#drive = new Drive(services, {
      ...{ name, type: 'floppy', medium, limits, depth: 1 },
      check: ({ size }) => {
        chosen ??= driveFor(size);
        formatFor(chosen, size, name);
      },
    });
    this.kind = chosen ?? driveFor(null);
    this.#findFormat();
    // Nothing locks a floppy drive.
    this.#drive.lock = { locked: false, requestEject: () => {} };
    this.#drive.onMediumChanged = () => this.#mediumChanged();
    this.#drive.onResized = () => this.#mediumChanged();
  }

  #findFormat(): void {
    const { disk } = this.#drive;
    this.#format = disk === null ? null : formatFor(this.kind, disk.size, this.name);
  }

  get format(): FloppyFormat | null {
    return this.#format;
  }

  get isWriteProtected(): boolean {
    return this.#drive.disk?.readonly ?? false;
  }

  get isChanged(): boolean {
    return this.#isChanged;
  }

  get cylinder(): number {
    return this.#cylinder;
  }

  /** A step pulse resets the disk change line, if there is a medium. */
  moveTo(cylinder: number): void {
    if (cylinder !== this.#cylinder && this.#format !== null) this.#isChanged = false;
    this.#cylinder = cylinder;
  }

  read(lba: number, bytes: Uint8Array, done: Done): void {
    const { port, disk } = this.#drive;
    const offset = lba * SECTOR_BYTES;
    const there = Math.max(0, Math.min(bytes.length, disk!.size - offset));
    const wanted = there === 0 ? bytes.subarray(0, 0) : bytes.subarray(0, there);
    bytes.fill(0, there);
    // Even if there is nothing to read, so that it ends later.
    port!.readInto(there === 0 ? 0 : offset, wanted, done);
  }

  write(lba: number, bytes: Uint8Array, done: Done): void {
    this.#drive.port!.writeFrom(lba * SECTOR_BYTES, bytes, done);
  }

  cancel(): void {
    this.#drive.port?.cancel(() => {});
  }

  get file(): string | null {
    return this.#drive.file;
  }

  /** @throws an error for the user */
  resize(bytes: number): void {
    if (this.#drive.disk !== null) formatFor(this.kind, bytes, this.name);
    this.#drive.resize(bytes);
  }

  setLimits(limits: DiskLimits): void {
    this.#drive.setLimits(limits);
  }

  get drive(): DriveControl | null {
    return this.#drive.drive;
  }

  #mediumChanged(): void {
    this.#findFormat();
    this.#isChanged = true;
    this.onMediumChanged?.();
  }

  get facts(): DeviceFact[] {
    const { sectors, cylinders, heads } = this.#format ?? {};
    return [
      ...this.#drive.facts,
      { label: 'drive', value: floppyDrives[this.kind].title },
      ...(sectors === undefined
        ? []
        : [
            {
              label: 'geometry',
              value: `${cylinders} cylinders, ${heads} heads, ${sectors} sectors`,
            } as const,
          ]),
    ];
  }

  reset(): void {
    this.#drive.port?.cancel(() => {});
    this.#cylinder = 0;
    this.#isChanged = true;
  }

  quiesce(done: () => void): void {
    this.#drive.quiesce(done);
  }

  resume(): void {
    this.#drive.resume();
  }

  save(): DeviceState {
    return { drive: this.#drive.save(), cylinder: this.#cylinder, isChanged: this.#isChanged };
  }

  load(state: DeviceState): void {
    this.#drive.load(stateOf(state, 'drive'));
    this.#cylinder = numberOf(state, 'cylinder', 0xff);
    this.#isChanged = booleanOf(state, 'isChanged');
  }

  close(): void {
    this.#drive.close();
  }
}
