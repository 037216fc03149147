import type { XmlElement } from '@rgrove/parse-xml';
import type { DeviceConfig } from '../../devices/registry.ts';
import type { PassthroughInput } from '../fields/passthrough.ts';
import type { DomainDocument } from './document.ts';

/** The vring device that provides the bus of each controller. Ports of a switch become root ports. */
const BRIDGES: Readonly<Record<string, string>> = {
  'pcie-root-port': 'root-port',
  'pcie-switch-downstream-port': 'root-port',
  'pcie-to-pci-bridge': 'pcie-pci-bridge',
  'dmi-to-pci-bridge': 'pcie-pci-bridge',
  'pci-bridge': 'pci-bridge',
};

/**
 * <controller type='pci'>: the buses of a domain, by their numbers. Only those with a passed-through device behind them
 * become part of the definition; vring's root bus has room for all other devices.
 */
export class PciControllers {
  readonly #document: DomainDocument;
  readonly #types = new Map<number, string>();
  readonly #used = new Set<number>();

  constructor(document: DomainDocument, devices: XmlElement | null) {
    this.#document = document;
    for (const controller of document.children(devices, 'controller')) {
      const { type, index, model = '' } = controller.attributes;
      const bridge = Object.hasOwn(BRIDGES, model) ? BRIDGES[model] : undefined;
      if (type === 'pci' && bridge !== undefined) this.#types.set(Number(index), bridge);
    }
  }

  /** The bus and the address of a device's <address>; empty for a device on the root bus, where vring finds a place. */
  placeOf(address: XmlElement | null): Pick<PassthroughInput, 'bus' | 'addr'> {
    this.#document.skipAll(address);
    if (address === null) return {};
    const part = (name: string) => Number(address.attributes[name] ?? 0);
    const number = part('bus');
    const type = this.#types.get(number);
    if (type === undefined) return {};
    this.#used.add(number);
    // A port has one slot.
    const slot = type === 'root-port' ? 0 : part('slot');
    const place = `${slot.toString(16).padStart(2, '0')}.${part('function')}`;
    return { bus: nameOf(number), addr: place };
  }

  /** The bridges that are used. */
  devices(): DeviceConfig[] {
    return [...this.#used]
      .sort((a, b) => a - b)
      .map(number => ({ type: this.#types.get(number)!, name: nameOf(number) }));
  }
}

/** libvirt's own name of the bus, `pci.7`, as far as names allow. */
function nameOf(number: number): string {
  return `pci-${number}`;
}
