import type {
  ScsiAddress,
  ScsiIdentity,
  ScsiQueueKind,
  ScsiUnitState,
} from '../../devices/scsi/scsi-host.ts';
import {
  queueConfigStruct,
  SCSI_QUEUE,
  SCSI_UNIT_FLAG,
  SCSI_UNIT_STATE,
  scsiUnitConfigStruct,
  scsiUnitStateStruct,
} from './abi.ts';
import { checked, nativeCalls } from './native-library.ts';
import type { QueueConfig } from './queues.ts';

/** A SCSI controller of a VM: its units, and the threads of its queues. Its calls throw SystemError. */
export class NativeScsi {
  readonly #calls = nativeCalls();
  readonly #vm: number;
  readonly #handle: number;

  /**
   * @param vm handle of the native VM. @param machineFd an eventfd, signaled when `settle` must be called, and trays
   * may have changed
   */
  constructor(vm: number, machineFd: number) {
    this.#vm = vm;
    this.#handle = checked('vring_scsi_create', this.#calls.vring_scsi_create(vm, machineFd));
  }

  /** Queues that serve the controller keep it. */
  destroy(): void {
    checked('vring_scsi_destroy', this.#calls.vring_scsi_destroy(this.#vm, this.#handle));
  }

  /** Closes media that no request uses any more, and wakes threads that have to reconsider their requests. */
  settle(): void {
    checked('vring_scsi_settle', this.#calls.vring_scsi_settle(this.#vm, this.#handle));
  }

  /** Starts a thread that serves a queue. @returns its handle, as in `queueBroken` events */
  startQueue(kind: ScsiQueueKind, queue: QueueConfig, unfinished: Uint8Array): number {
    const config = queueConfigStruct.encode(queue);
    const number = SCSI_QUEUE[kind];
    const { length } = unfinished;
    return checked(
      'vring_scsi_queue_start',
      this.#calls.vring_scsi_queue_start(this.#vm, config, unfinished, length, this.#handle, number),
    );
  }

  setSizes(command: number, sense: number): void {
    const result = this.#calls.vring_scsi_set_sizes(this.#vm, this.#handle, command, sense);
    checked('vring_scsi_set_sizes', result);
  }

  reset(): void {
    checked('vring_scsi_reset', this.#calls.vring_scsi_reset(this.#vm, this.#handle));
  }

  /** Notifies the driver of an event (VIRTIO_SCSI_T_*). */
  event(event: number, address: ScsiAddress, reason: number): void {
    const unit = packed(address);
    checked('vring_scsi_event', this.#calls.vring_scsi_event(this.#vm, this.#handle, event, unit, reason));
  }

  get hasEvents(): boolean {
    return checked('vring_scsi_has_events', this.#calls.vring_scsi_has_events(this.#vm, this.#handle)) !== 0;
  }

  missEvents(): void {
    checked('vring_scsi_miss_events', this.#calls.vring_scsi_miss_events(this.#vm, this.#handle));
  }

  addUnit(address: ScsiAddress, identity: ScsiIdentity, counterSlot: number): void {
    const { kind, removable, dpofua, writeCache, rotationRate } = identity;
    const { wwn, portWwn, logicalBlock, physicalBlock, minIo, optimalIo } = identity;
    const flags =
      (kind === 'cd' ? SCSI_UNIT_FLAG.cd : 0) |
      (removable ? SCSI_UNIT_FLAG.removable : 0) |
      (dpofua ? SCSI_UNIT_FLAG.dpofua : 0) |
      (writeCache ? SCSI_UNIT_FLAG.writeCache : 0);
    const bytes = scsiUnitConfigStruct.encode({
      ...{ wwn, portWwn, address: packed(address), flags, rotationRate, counterSlot },
      ...{ logicalBlock, physicalBlock, minIo, optimalIo },
      vendor: text(identity.vendor, 8, ' '),
      product: text(identity.product, 16, ' '),
      revision: text(identity.revision, 4, ' '),
      serial: text(identity.serial, 36, '\0'),
    });
    checked('vring_scsi_add_unit', this.#calls.vring_scsi_add_unit(this.#vm, this.#handle, bytes));
  }

  removeUnit(address: ScsiAddress): void {
    const result = this.#calls.vring_scsi_remove_unit(this.#vm, this.#handle, packed(address));
    checked('vring_scsi_remove_unit', result);
  }

  /** Puts an image into a drive, with the limiter of its requests. With `first` the driver is not notified. */
  insert(address: ScsiAddress, image: number, limiter: number, first: boolean): void {
    const unit = packed(address);
    const handle = this.#handle;
    const result = this.#calls.vring_scsi_insert(this.#vm, handle, unit, image, limiter, Number(first));
    checked('vring_scsi_insert', result);
  }

  eject(address: ScsiAddress): void {
    const result = this.#calls.vring_scsi_eject(this.#vm, this.#handle, packed(address));
    checked('vring_scsi_eject', result);
  }

  requestEject(address: ScsiAddress): void {
    const result = this.#calls.vring_scsi_request_eject(this.#vm, this.#handle, packed(address));
    checked('vring_scsi_request_eject', result);
  }

  capacityChanged(address: ScsiAddress): void {
    const result = this.#calls.vring_scsi_capacity_changed(this.#vm, this.#handle, packed(address));
    checked('vring_scsi_capacity_changed', result);
  }

  state(address: ScsiAddress): ScsiUnitState {
    const out = new Uint8Array(scsiUnitStateStruct.size);
    const result = this.#calls.vring_scsi_unit_state(this.#vm, this.#handle, packed(address), out);
    checked('vring_scsi_unit_state', result);
    const { attentions, mediaEvent, flags } = scsiUnitStateStruct.read(out);
    const has = (flag: number) => (flags & flag) !== 0;
    return {
      attentions,
      mediaEvent,
      writeCache: has(SCSI_UNIT_STATE.writeCache),
      descriptorSense: has(SCSI_UNIT_STATE.descriptorSense),
      trayOpen: has(SCSI_UNIT_STATE.trayOpen),
      locked: has(SCSI_UNIT_STATE.locked),
      subscribed: has(SCSI_UNIT_STATE.subscribed),
    };
  }

  setState(address: ScsiAddress, state: ScsiUnitState): void {
    const { attentions, mediaEvent } = state;
    const bit = (on: boolean, flag: number) => (on ? flag : 0);
    const flags =
      bit(state.writeCache, SCSI_UNIT_STATE.writeCache) |
      bit(state.descriptorSense, SCSI_UNIT_STATE.descriptorSense) |
      bit(state.trayOpen, SCSI_UNIT_STATE.trayOpen) |
      bit(state.locked, SCSI_UNIT_STATE.locked) |
      bit(state.subscribed, SCSI_UNIT_STATE.subscribed);
    const bytes = scsiUnitStateStruct.encode({ attentions, mediaEvent, flags });
    const result = this.#calls.vring_scsi_set_unit_state(this.#vm, this.#handle, packed(address), bytes);
    checked('vring_scsi_set_unit_state', result);
  }
}

function packed({ target, lun }: ScsiAddress): number {
  return target * 2 ** 16 + lun;
}

/** ASCII of a fixed length. */
function text(value: string, length: number, pad: string): Uint8Array {
  return new TextEncoder().encode(value.slice(0, length).padEnd(length, pad));
}
