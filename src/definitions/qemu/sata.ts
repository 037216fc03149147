import { DEVICE_NAME } from '../../devices/device-type.ts';

/** QEMU's devices that are drives on whichever ATA bus they name, and whether they are CD drives. */
const DRIVERS: Readonly<Record<string, boolean>> = { 'ide-hd': false, 'ide-cd': true, 'ide-drive': false };

/** A port of a controller of a command line. */
export type SataPort = {
  /** The controller's name as a device. */
  readonly controller: string;
  readonly isFirst: boolean;
  /** Its number; undefined for any. */
  readonly port: number | undefined;
};

/**
 * The SATA controllers of a command line, in the order of their options. In QEMU, each of their ports is a bus,
 * `ahci0.2`.
 */
export class SataControllers {
  /** Their names as devices, by ID. */
  readonly #names = new Map<string, string>();
  #count = 0;

  /** @returns the controller's name */
  add(id: string | undefined): string {
    const name = id !== undefined && DEVICE_NAME.pattern.test(id) ? id : `ahci${this.#count}`;
    this.#names.set(id ?? name, name);
    this.#count++;
    return name;
  }

  /** The port of a `-device` with this bus; null if that is not one of these controllers. */
  portOf(driver: string, bus: string | undefined): SataPort | null {
    if (DRIVERS[driver] === undefined || bus === undefined) return null;
    const [, id, port] = /^(.+?)(?:\.(\d{1,3}))?$/.exec(bus) ?? [];
    const controller = this.#names.get(bus) ?? (id === undefined ? undefined : this.#names.get(id));
    if (controller === undefined) return null;
    const isFirst = controller === [...this.#names.values()][0];
    return {
      controller,
      isFirst,
      port: port === undefined || this.#names.has(bus) ? undefined : Number(port),
    };
  }

  /** Whether a driver is a CD drive. */
  static isCd(driver: string): boolean {
    return DRIVERS[driver] === true;
  }
}
