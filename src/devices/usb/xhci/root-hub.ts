import type { BootPath } from '../../boot-device.ts';
import type { BuiltDevice, BusAddress, DeviceBus } from '../../device-type.ts';
import { RootHubPort } from './port.ts';
import { PORT_BYTES, PORTS } from './registers.ts';

export type RootHubHost = {
  /** The controller's name. */
  readonly name: string;
  /** Whether a driver is notified of events. */
  readonly isRunning: () => boolean;
  /** The driver must be notified of a port, by its number from 1 on. */
  readonly changed: (port: number) => void;
  /** Ends the transfers of the device on a port; `then` may be called within this call. */
  readonly silence: (port: number, then: () => void) => void;
};

/** The ports of a controller, which form the bus of USB devices. */
export class RootHub implements DeviceBus {
  readonly ports: readonly RootHubPort[];
  readonly #host: RootHubHost;
  readonly #places = new Map<BuiltDevice, number>();

  constructor(host: RootHubHost) {
    this.#host = host;
    this.ports = Array.from(
      { length: PORTS },
      (_, index) =>
        new RootHubPort({
          changed: () => host.changed(index + 1),
          silence: then => host.silence(index + 1, then),
        }),
    );
  }

  readonly bootPath: BootPath = {
    node: 'usb',
    below: ({ unit }) => `/storage@${unit.toString(16)}/channel@0/disk@0,0`,
  };

  readonly units = {
    free: (): BusAddress | null => {
      const index = this.ports.findIndex(({ device }) => device === null);
      return index < 0 ? null : { unit: index + 1, function: 0 };
    },
    announce: () => this.#host.isRunning(),
  };

  attach(built: BuiltDevice, address: BusAddress | null): void {
    const { device, usb } = built;
    if (usb === undefined) return;
    const { name } = this.#host;
    const unit = (address ?? this.units.free())?.unit;
    const port = unit === undefined ? undefined : this.ports[unit - 1];
    if (unit === undefined || port === undefined)
      throw new Error(`${device.name}: all ${PORTS} ports of ${name} are taken`);
    if (port.device !== null) throw new Error(`${device.name}: port ${unit} of ${name} is taken`);
    this.#places.set(built, unit);
    usb.busReset();
    port.connect(usb);
  }

  detach(built: BuiltDevice): void {
    const unit = this.#places.get(built);
    if (unit === undefined) return;
    this.#places.delete(built);
    this.#host.silence(unit, () => {});
    this.ports[unit - 1]!.disconnect();
  }

  addressOf(built: BuiltDevice): BusAddress | null {
    const unit = this.#places.get(built);
    return unit === undefined ? null : { unit, function: 0 };
  }

  /** The connected devices, by port from 1 on. */
  get connected(): readonly { readonly port: number; readonly product: string }[] {
    return this.ports.flatMap(({ device }, index) =>
      device === null ? [] : [{ port: index + 1, product: device.product }],
    );
  }

  /** A register of a port, by its offset from the first port's. */
  read(offset: number): number {
    return this.ports[Math.floor(offset / PORT_BYTES)]?.read(offset % PORT_BYTES) ?? 0;
  }

  write(offset: number, value: number): void {
    this.ports[Math.floor(offset / PORT_BYTES)]?.write(offset % PORT_BYTES, value);
  }
}
