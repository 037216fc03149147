import type { BootPath } from '../../boot-device.ts';
import type { BuiltDevice, BusAddress, DeviceBus } from '../../device-type.ts';
import type { SdDevice } from '../sd-device.ts';

export type SdSlotHost = {
  readonly inserted: (card: SdDevice) => void;
  readonly removed: (card: SdDevice) => void;
};

/** The slot of a controller: the bus of a card. */
export class SdSlot implements DeviceBus {
  readonly #controller: string;
  readonly #host: SdSlotHost;
  #built: BuiltDevice | null = null;

  constructor(controller: string, host: SdSlotHost) {
    this.#controller = controller;
    this.#host = host;
  }

  readonly bootPath: BootPath = { node: 'sdhci', below: '/sd-card@0' };

  readonly units = {
    free: (): BusAddress | null => (this.#built === null ? { unit: 0, function: 0 } : null),
    // Drivers check the slot when they start, and then wait for its interrupt.
    announce: () => true,
  };

  get card(): SdDevice | null {
    return this.#built?.sd ?? null;
  }

  attach(built: BuiltDevice): void {
    const { device, sd } = built;
    if (sd === undefined) return;
    if (this.#built !== null)
      throw new Error(
        `${device.name}: there is a card in the slot of ${this.#controller}: add another sdhci-pci with a name, and put this card on its bus`,
      );
    this.#built = built;
    sd.powerOff();
    this.#host.inserted(sd);
  }

  detach(built: BuiltDevice): void {
    const { card } = this;
    if (built !== this.#built || card === null) return;
    this.#built = null;
    this.#host.removed(card);
  }

  addressOf(built: BuiltDevice): BusAddress | null {
    return built === this.#built ? { unit: 0, function: 0 } : null;
  }
}
