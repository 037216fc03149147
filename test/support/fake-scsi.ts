import type { DiskErrors } from '../../src/devices/backends/disk.ts';
import type {
  ScsiAddress,
  ScsiController,
  ScsiHost,
  ScsiIdentity,
  ScsiQueueKind,
  ScsiQueueOptions,
  ScsiUnit,
  ScsiUnitState,
} from '../../src/devices/scsi/scsi-host.ts';
import type { BlockBackend, BlockQueue } from '../../src/devices/virtio/block-backend.ts';
import type { QueueCounters } from '../../src/devices/virtio/queue-counters.ts';
import type { VirtioQueue } from '../../src/devices/virtio/virtio-device.ts';

const AFTER_RESET = {
  attentions: 1,
  mediaEvent: 0,
  descriptorSense: false,
  trayOpen: false,
  locked: false,
  subscribed: false,
} as const;

/** A unit that records the calls that it gets. */
export class FakeScsiUnit implements ScsiUnit {
  readonly address: ScsiAddress;
  readonly identity: ScsiIdentity;
  readonly counterSlot: number;
  disk: BlockBackend | null = null;
  state: ScsiUnitState;
  onTrayChanged: (() => void) | null = null;
  readonly calls: string[] = [];
  readonly #removed: () => void;

  constructor(address: ScsiAddress, identity: ScsiIdentity, slot: number, removed: () => void) {
    this.address = address;
    this.identity = identity;
    this.counterSlot = slot;
    this.#removed = removed;
    this.state = { ...AFTER_RESET, writeCache: identity.writeCache };
  }

  insert(disk: BlockBackend, first: boolean): void {
    this.calls.push(first ? 'insert first' : 'insert');
    this.disk = disk;
    this.state = { ...this.state, trayOpen: false };
  }

  eject(): void {
    this.calls.push('eject');
    this.disk = null;
    this.state = { ...this.state, locked: false };
  }

  requestEject(): void {
    this.calls.push('request eject');
  }

  capacityChanged(): void {
    this.calls.push('capacity changed');
  }

  reset(): void {
    this.state = { ...AFTER_RESET, writeCache: this.identity.writeCache };
  }

  remove(): void {
    this.calls.push('remove');
    this.#removed();
  }

  /** Changes the tray's state as a driver would. */
  drives(state: Partial<ScsiUnitState>): void {
    this.state = { ...this.state, ...state };
    this.onTrayChanged?.();
  }
}

/** A controller whose queues only record how they were started. */
export class FakeScsiController implements ScsiController {
  readonly units: FakeScsiUnit[] = [];
  readonly running = new Map<number, { kind: ScsiQueueKind; options: ScsiQueueOptions }>();
  readonly notifications: string[] = [];
  sizes = [0, 0];
  hasEvents = false;
  closed = false;
  errors: DiskErrors[] = [];

  startQueue(kind: ScsiQueueKind, { index }: VirtioQueue, options: ScsiQueueOptions): BlockQueue {
    this.running.set(index, { kind, options });
    let ended = false;
    return {
      requestStop: () => {
        ended = true;
      },
      stop: () => {
        if (!ended) return null;
        this.running.delete(index);
        return { lastAvail: 0, usedIndex: 0 };
      },
      abandon: () => null,
      diskErrors: endPeriod => (endPeriod ? [] : this.errors.splice(0)),
    };
  }

  setSizes(command: number, sense: number): void {
    this.sizes = [command, sense];
  }

  reset(): void {
    for (const unit of this.units) unit.reset();
    this.hasEvents = false;
  }

  notify(event: number, { target, lun }: ScsiAddress, reason: number): void {
    this.notifications.push(`event ${event} of ${target}:${lun}, reason ${reason}`);
  }

  missEvents(): void {
    this.hasEvents = true;
  }

  addUnit(address: ScsiAddress, identity: ScsiIdentity, { slot }: Pick<QueueCounters, 'slot'>): ScsiUnit {
    const unit = new FakeScsiUnit(address, identity, slot, () =>
      this.units.splice(this.units.indexOf(unit), 1),
    );
    this.units.push(unit);
    return unit;
  }

  close(): void {
    this.closed = true;
  }
}

export class FakeScsiHost implements ScsiHost {
  readonly controllers: FakeScsiController[] = [];

  createController(): ScsiController {
    const controller = new FakeScsiController();
    this.controllers.push(controller);
    return controller;
  }
}
