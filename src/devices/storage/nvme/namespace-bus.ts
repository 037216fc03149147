import type { BootPath } from '../../boot-device.ts';
import type { BuiltDevice, BusAddress, DeviceBus, UnitHotplug } from '../../device-type.ts';
import type { NvmeController } from './controller.ts';

/**
 * Identifiers of namespaces that a controller without a disk of its own has, from 1 on. SeaBIOS looks at each of them,
 * whether there is such a namespace or not.
 */
export const MAX_NAMESPACES = 64;

/**
 * OVMF only knows this name, which QEMU gave its NVMe controller once (OvmfPkg, QemuBootOrderLib); SeaBIOS takes any.
 */
export const BOOT_NODE = 'pci8086,5845';

/** Where firmware finds a namespace. @param eui64 8 bytes */
export function namespacePath(id: number, eui64: Uint8Array): string {
  const eui = Buffer.from(eui64)
    .toString('hex')
    .replace(/^0+(?=.)/, '');
  return `/namespace@${id.toString(16)},${eui}`;
}

/** The namespaces of a controller as a bus, whose addresses are their identifiers. */
export class NamespaceBus implements DeviceBus {
  readonly #controller: NvmeController;
  readonly #places = new Map<BuiltDevice, number>();

  constructor(controller: NvmeController) {
    this.#controller = controller;
  }

  readonly bootPath: BootPath = {
    node: BOOT_NODE,
    below: ({ unit }) => {
      const eui64 = this.#controller.namespaces.get(unit)?.identity.eui64 ?? new Uint8Array(8);
      return namespacePath(unit, eui64);
    },
  };

  readonly units: UnitHotplug = {
    free: () => this.#free(),
    announce: built => this.#controller.changed(this.#places.get(built)!),
  };

  attach(built: BuiltDevice, address: BusAddress | null): void {
    const { device, nvme } = built;
    if (nvme === undefined) return;
    const { name, namespaces } = this.#controller;
    const id = (address ?? this.#free())?.unit;
    if (id === undefined)
      throw new Error(`${device.name}: all ${MAX_NAMESPACES} namespaces of ${name} are taken`);
    if (namespaces.has(id)) throw new Error(`${device.name}: namespace ${id} of ${name} is taken`);
    this.#controller.add(id, nvme);
    this.#places.set(built, id);
  }

  detach(built: BuiltDevice): void {
    const id = this.#places.get(built);
    if (id === undefined) return;
    this.#places.delete(built);
    this.#controller.remove(id);
  }

  addressOf(built: BuiltDevice): BusAddress | null {
    const unit = this.#places.get(built);
    return unit === undefined ? null : { unit, function: 0 };
  }

  #free(): BusAddress | null {
    for (let unit = 1; unit <= MAX_NAMESPACES; unit++)
      if (!this.#controller.namespaces.has(unit)) return { unit, function: 0 };
    return null;
  }
}
