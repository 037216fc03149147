import type { Cancel, EventLoop } from '../../devices/device.ts';
import {
  type ScsiAddress,
  type ScsiController,
  type ScsiIdentity,
  type ScsiQueueKind,
  type ScsiQueueOptions,
  type ScsiUnit,
  type ScsiUnitState,
  unitNumber,
} from '../../devices/scsi/scsi-host.ts';
import type { BlockBackend, BlockQueue } from '../../devices/virtio/block-backend.ts';
import type { QueueCounters } from '../../devices/virtio/queue-counters.ts';
import type { VirtioQueue } from '../../devices/virtio/virtio-device.ts';
import { codeText } from '../../text/errno.ts';
import { eventfd, SystemError } from '../native/libc.ts';
import type { NativeVm } from '../native/native-vm.ts';
import type { QueueThreads } from '../native/queue-threads.ts';
import { NativeScsi } from '../native/scsi.ts';
import { DiskError } from './disk-error.ts';
import { queueAdvice } from './queue-advice.ts';

type Parts = {
  readonly native: NativeVm;
  readonly queues: QueueThreads;
  readonly events: EventLoop;
};

/** SCSI commands, by native threads. */
export class HostScsiController implements ScsiController {
  readonly #native: NativeVm;
  readonly #queues: QueueThreads;
  readonly #scsi: NativeScsi;
  readonly #machineFd: number;
  readonly #unwatch: Cancel;
  /** Keyed by `unitNumber`. */
  readonly #units = new Map<number, HostUnit>();

  constructor({ native, queues, events }: Parts) {
    this.#native = native;
    this.#queues = queues;
    this.#machineFd = native.ownFd(eventfd());
    this.#scsi = new NativeScsi(native.handle, this.#machineFd);
    this.#unwatch = events.watch(this.#machineFd, () => {
      this.#scsi.settle();
      for (const unit of this.#units.values()) unit.onTrayChanged?.();
    });
  }

  startQueue(kind: ScsiQueueKind, queue: VirtioQueue, options: ScsiQueueOptions): BlockQueue {
    try {
      return this.#queues.startScsi(this.#scsi, kind, queue, options.features, options);
    } catch (error) {
      throw error instanceof SystemError ? new DiskError(queueAdvice(error.code)) : error;
    }
  }

  setSizes(command: number, sense: number): void {
    this.#scsi.setSizes(command, sense);
  }

  reset(): void {
    this.#scsi.reset();
  }

  notify(event: number, address: ScsiAddress, reason: number): void {
    this.#scsi.event(event, address, reason);
  }

  get hasEvents(): boolean {
    return this.#scsi.hasEvents;
  }

  missEvents(): void {
    this.#scsi.missEvents();
  }

  addUnit(address: ScsiAddress, identity: ScsiIdentity, { slot }: Pick<QueueCounters, 'slot'>): ScsiUnit {
    this.#scsi.addUnit(address, identity, slot);
    const number = unitNumber(address);
    const unit = new HostUnit(this.#scsi, address, () => this.#units.delete(number));
    this.#units.set(number, unit);
    return unit;
  }

  close(): void {
    // The machine may close its units later.
    for (const unit of this.#units.values()) unit.isGone = true;
    this.#unwatch();
    this.#scsi.destroy();
    this.#native.closeFd(this.#machineFd);
  }
}

class HostUnit implements ScsiUnit {
  onTrayChanged: (() => void) | null = null;
  /** Its controller, and so the unit, is closed. */
  isGone = false;
  readonly #scsi: NativeScsi;
  readonly #address: ScsiAddress;
  readonly #removed: () => void;

  constructor(scsi: NativeScsi, address: ScsiAddress, removed: () => void) {
    this.#scsi = scsi;
    this.#address = address;
    this.#removed = removed;
  }

  insert({ handles }: BlockBackend, first: boolean): void {
    try {
      this.#scsi.insert(this.#address, handles.image, handles.limiter, first);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new DiskError(
        error.code === 'ENFILE'
          ? 'the SCSI controller has as many files open as it can: give the VM another one'
          : `the SCSI controller cannot use the disk: ${codeText(error.code)}`,
      );
    }
  }

  eject(): void {
    this.#scsi.eject(this.#address);
  }

  requestEject(): void {
    this.#scsi.requestEject(this.#address);
  }

  capacityChanged(): void {
    this.#scsi.capacityChanged(this.#address);
  }

  get state(): ScsiUnitState {
    return this.#scsi.state(this.#address);
  }

  set state(state: ScsiUnitState) {
    this.#scsi.setState(this.#address, state);
  }

  remove(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.#scsi.removeUnit(this.#address);
    this.#removed();
  }
}
