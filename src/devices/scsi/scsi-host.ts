import type { BlockBackend, BlockQueue } from '../virtio/block-backend.ts';
import type { QueueCounters } from '../virtio/queue-counters.ts';
import type { VirtioQueue } from '../virtio/virtio-device.ts';

/** The host's side of SCSI, which carries out commands off the machine thread. */
export interface ScsiHost {
  /** A controller without units. @throws an error for the user */
  createController(): ScsiController;
}

/** A unit's address: its target (QEMU's scsi-id), and its number there. There is one channel, 0. */
export type ScsiAddress = { readonly target: number; readonly lun: number };

export const MAX_TARGET = 255;
/** The limit of flat space addressing (SAM-5 §4.7.7.3). */
export const MAX_LUN = 16383;

export interface ScsiController {
  /** Serves one of its queues (virtio 1.3 §5.6.2) until stopped. @throws an error for the user */
  startQueue(kind: ScsiQueueKind, queue: VirtioQueue, options: ScsiQueueOptions): BlockQueue;
  /** Sets the bytes of commands, at most 255, and of sense data, at most 65535, for requests that begin from now on. */
  setSizes(command: number, sense: number): void;
  /** Puts all units into the power-on state, and drops pending events. Not while queues run. */
  reset(): void;
  /** Reports an event of a unit to the driver (VIRTIO_SCSI_T_*, virtio 1.3 §5.6.6.3). */
  notify(event: number, address: ScsiAddress, reason: number): void;
  /** Whether there are events that have not been reported to the driver. */
  readonly hasEvents: boolean;
  /** Reports to the driver that it has missed events. */
  missEvents(): void;
  /** Adds a unit without a medium, at a free address. @throws an error for the user */
  addUnit(address: ScsiAddress, identity: ScsiIdentity, counters: Pick<QueueCounters, 'slot'>): ScsiUnit;
  close(): void;
}

export type ScsiQueueKind = 'control' | 'events' | 'requests';

export type ScsiQueueOptions = {
  readonly features: bigint;
  /** The driver violated the ring protocol, or the thread died; called on the machine thread. */
  readonly onBroken: (reason: string) => void;
  /** There are new kinds of disk errors, by `unitNumber`; called on the machine thread. */
  readonly onDiskErrors: () => void;
};

/** The number of a unit in the disk errors of a queue. */
export function unitNumber({ target, lun }: ScsiAddress): number {
  return target * 2 ** 16 + lun;
}

/** What a unit reports about itself. Texts are ASCII. Sizes are in bytes. */
export type ScsiIdentity = {
  readonly kind: 'disk' | 'cd';
  readonly vendor: string;
  readonly product: string;
  readonly revision: string;
  readonly serial: string;
  /** NAA identifiers of the unit and of its port; 0 for none. */
  readonly wwn: bigint;
  readonly portWwn: bigint;
  readonly logicalBlock: number;
  readonly physicalBlock: number;
  readonly minIo: number;
  /** 0 if unknown. */
  readonly optimalIo: number;
  /** 0 if not reported, 1 if it does not rotate, else revolutions per minute. */
  readonly rotationRate: number;
  readonly removable: boolean;
  readonly dpofua: boolean;
  /** Whether the write cache is on, until the driver turns it off. */
  readonly writeCache: boolean;
};

export interface ScsiUnit {
  /**
   * Inserts a medium into the drive, in place of the current one. With `first` the driver is not notified. @throws an
   * error for the user
   */
  insert(disk: BlockBackend, first: boolean): void;
  /** Ejects the medium, whatever the driver is doing with it. */
  eject(): void;
  /** Asks the driver to release the medium, as a drive's button does. */
  requestEject(): void;
  /** The size of the medium has changed. */
  capacityChanged(): void;
  state: ScsiUnitState;
  /** Calls back when the driver may have opened, closed, locked or unlocked the tray. */
  onTrayChanged: (() => void) | null;
  /** Removes the unit, so that the driver no longer finds it. */
  remove(): void;
}

/** The state of a unit, besides its medium. */
export type ScsiUnitState = {
  /** Pending unit attentions, and the last media event of the drive, in the unit's own encoding. */
  readonly attentions: number;
  readonly mediaEvent: number;
  readonly writeCache: boolean;
  readonly descriptorSense: boolean;
  readonly trayOpen: boolean;
  /** Whether the driver prevents the removal of the medium. */
  readonly locked: boolean;
  /** Whether the driver has asked for media events. */
  readonly subscribed: boolean;
};
