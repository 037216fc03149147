import type { BlockBackend, BlockQueue } from '../virtio/block-backend.ts';
import type { QueueCounters } from '../virtio/queue-counters.ts';
import type { VirtioQueue } from '../virtio/virtio-device.ts';

/** The host's side of SCSI: it carries out commands off the machine thread. */
export interface ScsiHost {
  /** A controller without units. @throws an error for the user */
  createController(): ScsiController;
}

/** Where a unit is: its target (QEMU's scsi-id), and its number there. There is one channel, 0. */
export type ScsiAddress = { readonly target: number; readonly lun: number };

export const MAX_TARGET = 255;
/** The most that flat space addressing has room for (SAM-5 §4.7.7.3). */
export const MAX_LUN = 16383;

export interface ScsiController {
  /** Serves one of its queues (virtio 1.3 §5.6.2) until it is stopped. @throws an error for the user */
  startQueue(kind: ScsiQueueKind, queue: VirtioQueue, options: ScsiQueueOptions): BlockQueue;
  /** Bytes of commands, at most 255, and of sense data, at most 65535, in requests that begin from now on. */
  setSizes(command: number, sense: number): void;
  /** Puts all units into the state after power-on, and forgets what the driver was to be told. Not while queues run. */
  reset(): void;
  /** Tells the driver of an event of a unit (VIRTIO_SCSI_T_*, virtio 1.3 §5.6.6.3). */
  tell(event: number, address: ScsiAddress, reason: number): void;
  /** Whether there are events that the driver has not been told of. */
  readonly hasEvents: boolean;
  /** The driver is told that it has missed events. */
  missEvents(): void;
  /** A unit without a medium. Its address is free. @throws an error for the user */
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

/** What a unit says of itself. Texts are ASCII. Sizes in bytes. */
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
  /** 0: not known. */
  readonly optimalIo: number;
  /** 0: not reported; 1: does not rotate; else turns per minute. */
  readonly rotationRate: number;
  readonly removable: boolean;
  readonly dpofua: boolean;
  /** The write cache is on until the driver turns it off. */
  readonly writeCache: boolean;
};

export interface ScsiUnit {
  /** Puts a medium into the drive, in place of the one that it has. With `first` the driver is not told. @throws an error for the user */
  insert(disk: BlockBackend, first: boolean): void;
  /** Takes the medium out, whatever the driver does with it. */
  eject(): void;
  /** Asks the driver to release the medium, as the button of a drive does. */
  requestEject(): void;
  /** The medium has another size. */
  capacityChanged(): void;
  state: ScsiUnitState;
  /** Calls back when the driver may have opened, closed, locked or unlocked the tray. */
  onTrayChanged: (() => void) | null;
  /** The driver finds it no more. */
  remove(): void;
}

/** What a unit has of state, besides its medium. */
export type ScsiUnitState = {
  /** What the driver is to be told, and the last event of the drive, by numbers of the unit's own. */
  readonly attentions: number;
  readonly mediaEvent: number;
  readonly writeCache: boolean;
  readonly descriptorSense: boolean;
  readonly trayOpen: boolean;
  /** The driver prevents the removal of the medium. */
  readonly locked: boolean;
  /** The driver wants to be told of media. */
  readonly subscribed: boolean;
};
