import { DEVICE_NAME } from '../../devices/device-type.ts';
import type { DeviceConfig } from '../../devices/registry.ts';
import type { Place } from './notes.ts';
import type { Settings } from './settings.ts';

/**
 * The vring device that provides the bus of each of QEMU's bridges. A PCI Express switch becomes one port per
 * downstream port.
 */
const BRIDGES: Readonly<Record<string, string>> = {
  'pcie-root-port': 'root-port',
  ioh3420: 'root-port',
  'xio3130-downstream': 'root-port',
  'pcie-pci-bridge': 'pcie-pci-bridge',
  'i82801b11-bridge': 'pcie-pci-bridge',
  'pci-bridge': 'pci-bridge',
};

const ROOT_BUSES = ['pci.0', 'pcie.0'];

type Bridge = {
  readonly place: Place;
  readonly type: string;
  /** QEMU's name of the bus that it is on. */
  readonly bus: string | undefined;
  readonly addr: string | undefined;
  readonly slot: number | undefined;
};

/** The bridges of a command line. Only those with a passed-through device behind them become part of the definition. */
export class Buses {
  readonly #bridges = new Map<string, Bridge>();
  /** The names of vring's devices, by QEMU's names of their buses. */
  readonly #used = new Map<string, string>();
  readonly #names = new Set<string>();

  /** Whether it is a bridge that may become part of the definition. */
  read(driver: string, settings: Settings, place: Place): boolean {
    const type = Object.hasOwn(BRIDGES, driver) ? BRIDGES[driver]! : null;
    const id = settings.peek('id');
    if (type === null || id === undefined) return false;
    const addr = /^(?:0x)?([0-9a-f]{1,2})(?:\.0)?$/i.exec(settings.peek('addr') ?? '')?.[1];
    const slot = /^(0x[0-9a-f]{1,4}|\d{1,4})$/i.exec(settings.peek('slot') ?? '')?.[1];
    this.#bridges.set(id, {
      place,
      type,
      bus: settings.peek('bus'),
      addr: addr?.padStart(2, '0').toLowerCase(),
      slot: slot === undefined ? undefined : Number(slot),
    });
    return true;
  }

  /** The name of the device that provides a bus; one that no option defines is a root port. */
  use(bus: string): string {
    for (let each: string | undefined = bus; each !== undefined && !this.#used.has(each); ) {
      this.#used.set(each, this.#free(each));
      const above: string | undefined = this.#bridges.get(each)?.bus;
      each = above !== undefined && this.#bridges.has(above) ? above : undefined;
    }
    return this.#used.get(bus)!;
  }

  /** Whether it is the machine's own bus. Proxmox VE also gives this name to a bridge of a Q35. */
  isRoot(bus: string): boolean {
    return ROOT_BUSES.includes(bus) && !this.#bridges.has(bus);
  }

  has(bus: string): boolean {
    return this.#bridges.has(bus);
  }

  /** The devices that provide the buses in use. */
  used(): { readonly place: Place; readonly entry: DeviceConfig }[] {
    return [...this.#used].map(([bus, name]) => {
      const bridge = this.#bridges.get(bus);
      if (bridge !== undefined) return { place: bridge.place, entry: this.#entry(bridge, name) };
      return { place: { at: -1, option: bus }, entry: { type: 'root-port', name } };
    });
  }

  unused(): Place[] {
    return [...this.#bridges].flatMap(([id, { place }]) => (this.#used.has(id) ? [] : [place]));
  }

  #entry({ type, bus, addr, slot }: Bridge, name: string): DeviceConfig {
    const above = bus === undefined ? undefined : this.#used.get(bus);
    const onRoot = bus === undefined || this.isRoot(bus);
    return {
      type,
      name,
      ...(above !== undefined && { bus: above }),
      ...((onRoot || above !== undefined) && addr !== undefined && { addr }),
      ...(type === 'root-port' && slot !== undefined && slot < 8192 && { slot }),
    };
  }

  #free(bus: string): string {
    const plain = bus
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]+/g, '-')
      .replace(/^[^a-z]+/, '')
      .slice(0, 16);
    if (DEVICE_NAME.pattern.test(plain) && !this.#names.has(plain)) return this.#take(plain);
    for (let index = this.#used.size; ; index++)
      if (!this.#names.has(`bus${index}`)) return this.#take(`bus${index}`);
  }

  #take(name: string): string {
    this.#names.add(name);
    return name;
  }
}
