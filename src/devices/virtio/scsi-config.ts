import type { AccessSize } from '../device.ts';
import { MAX_LUN } from '../scsi/scsi-host.ts';

/** Feature bits (virtio 1.3 §5.6.3). */
export const SCSI_FEATURE = {
  hotplug: 1n << 1n,
  change: 1n << 2n,
} as const;

/** Offsets in the config space (§5.6.4). */
const FIELD = {
  numQueues: 0,
  segMax: 4,
  maxSectors: 8,
  cmdPerLun: 12,
  eventInfoSize: 16,
  senseSize: 20,
  cdbSize: 24,
  maxChannel: 28,
  maxTarget: 30,
  maxLun: 32,
} as const;

const EVENT_BYTES = 16;
const DEFAULT_SENSE_SIZE = 96;
const DEFAULT_CDB_SIZE = 32;
const MAX_SENSE_SIZE = 65535;
const MAX_CDB_SIZE = 255;

export type ScsiConfigOptions = {
  readonly queues: number;
  readonly segMax: number;
  readonly maxSectors: number;
  readonly cmdPerLun: number;
  readonly maxTarget: number;
};

/** The config space of a virtio SCSI host (§5.6.4). */
export class ScsiConfig {
  static readonly size = 36;
  readonly #view = new DataView(new ArrayBuffer(ScsiConfig.size));

  constructor({ queues, segMax, maxSectors, cmdPerLun, maxTarget }: ScsiConfigOptions) {
    const view = this.#view;
    view.setUint32(FIELD.numQueues, queues, true);
    view.setUint32(FIELD.segMax, segMax, true);
    view.setUint32(FIELD.maxSectors, maxSectors, true);
    view.setUint32(FIELD.cmdPerLun, cmdPerLun, true);
    view.setUint32(FIELD.eventInfoSize, EVENT_BYTES, true);
    view.setUint16(FIELD.maxChannel, 0, true);
    view.setUint16(FIELD.maxTarget, maxTarget, true);
    view.setUint32(FIELD.maxLun, MAX_LUN, true);
    this.reset();
  }

  reset(): void {
    this.set(DEFAULT_CDB_SIZE, DEFAULT_SENSE_SIZE);
  }

  /** Both must be in range. */
  set(cdbSize: number, senseSize: number): void {
    this.#view.setUint32(FIELD.cdbSize, cdbSize, true);
    this.#view.setUint32(FIELD.senseSize, senseSize, true);
  }

  get cdbSize(): number {
    return this.#view.getUint32(FIELD.cdbSize, true);
  }

  get senseSize(): number {
    return this.#view.getUint32(FIELD.senseSize, true);
  }

  read(offset: number, size: AccessSize): number {
    if (size === 4) return this.#view.getUint32(offset, true);
    return size === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint8(offset);
  }

  /**
   * A driver's write, which may change the sizes. Other fields, and sizes out of range, have no effect. @returns
   * whether a size has changed
   */
  write(offset: number, size: AccessSize, value: number): boolean {
    if (size !== 4) return false;
    const most = offset === FIELD.senseSize ? MAX_SENSE_SIZE : offset === FIELD.cdbSize ? MAX_CDB_SIZE : -1;
    if (value > most || value === this.#view.getUint32(offset, true)) return false;
    this.#view.setUint32(offset, value, true);
    return true;
  }

  static isValid(cdbSize: number, senseSize: number): boolean {
    return cdbSize <= MAX_CDB_SIZE && senseSize <= MAX_SENSE_SIZE;
  }
}
