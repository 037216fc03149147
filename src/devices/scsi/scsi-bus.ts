import type { BootPath } from '../boot-device.ts';
import type { BuiltDevice, BusAddress, DeviceBus } from '../device-type.ts';
import type { ScsiDevice, ScsiEvents } from './scsi-device.ts';
import { type ScsiAddress, type ScsiController, unitNumber } from './scsi-host.ts';

/** Reasons of VIRTIO_SCSI_T_TRANSPORT_RESET (virtio 1.3 §5.6.6.3). */
export const TRANSPORT_RESET = { rescan: 1, removed: 2 } as const;

/** The bus that a SCSI controller provides. */
export class ScsiBus implements DeviceBus {
  readonly #controller: ScsiController;
  readonly #events: ScsiEvents;
  readonly #maxTarget: number;
  readonly #places = new Map<BuiltDevice, ScsiAddress>();

  constructor(controller: ScsiController, events: ScsiEvents, maxTarget: number) {
    this.#controller = controller;
    this.#events = events;
    this.#maxTarget = maxTarget;
  }

  readonly bootPath: BootPath = {
    below: ({ unit, function: lun }) => `/channel@0/disk@${unit.toString(16)},${lun.toString(16)}`,
  };

  readonly units = {
    free: (): BusAddress | null => this.#free(),
    announce: (built: BuiltDevice) =>
      this.#events.transportReset(this.#places.get(built)!, TRANSPORT_RESET.rescan),
  };

  attach(built: BuiltDevice, given: BusAddress | null): void {
    const { device, scsi } = built;
    if (scsi === undefined) return;
    const place = given ?? this.#free();
    if (place === null) throw new Error(`${device.name}: all targets of its SCSI bus are taken`);
    const address = { target: place.unit, lun: place.function };
    if (address.target > this.#maxTarget)
      throw new Error(
        `${device.name}: its SCSI bus has the targets 0 to ${this.#maxTarget}, not ${address.target}`,
      );
    scsi.connect(this.#controller, address, this.#events);
    this.#places.set(built, address);
  }

  detach(built: BuiltDevice): void {
    const address = this.#places.get(built);
    if (address === undefined) return;
    this.#places.delete(built);
    built.scsi!.disconnect();
    this.#events.transportReset(address, TRANSPORT_RESET.removed);
  }

  addressOf(built: BuiltDevice): BusAddress | null {
    const address = this.#places.get(built);
    return address === undefined ? null : { unit: address.target, function: address.lun };
  }

  /** The unit with this number; undefined if it is gone. */
  unit(number: number): ScsiDevice | undefined {
    for (const [built, address] of this.#places) if (unitNumber(address) === number) return built.scsi;
    return undefined;
  }

  /** Unit 0 of the first target without any. */
  #free(): BusAddress | null {
    const taken = new Set([...this.#places.values()].map(({ target }) => target));
    for (let target = 0; target <= this.#maxTarget; target++)
      if (!taken.has(target)) return { unit: target, function: 0 };
    return null;
  }
}
