import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import { type MachineConfig, machineConfig } from '../../vmm/machine/config.ts';
import type { MachinePlaces } from '../../vmm/machine/topology.ts';

/** A device as its machine reports it. For types added by a device module, only the machine knows the default names. */
type Named = { readonly name: string; readonly type: string };

/**
 * The devices that managers have given a running machine, by name. The machine is not trusted: only the names and
 * places it reports are believed; what a device is, and which files it has, comes from here.
 */
export class KnownDevices {
  #config: MachineConfig;
  readonly #devices = new Map<string, DeviceConfig>();
  /** The names of `#config`. */
  #names: ReadonlySet<string>;
  /** Devices that this manager is plugging in. */
  readonly #pending = new Set<string>();
  /** Devices that the machine reports as being plugged in, whichever manager asked for it. */
  #pluggingIn: readonly string[] = [];

  /**
   * @param pending devices that an earlier manager was plugging in. @param labels what the machine reports about its
   * devices
   */
  constructor(config: MachineConfig, pending: readonly DeviceConfig[], labels: readonly Named[]) {
    this.#config = config;
    const names = namesOf(config.devices, labels);
    this.#names = new Set(names);
    for (const [index, device] of config.devices.entries()) this.#devices.set(names[index]!, device);
    for (const device of pending) if (device.name !== undefined) this.#devices.set(device.name, device);
  }

  get pending(): readonly DeviceConfig[] {
    return [...new Set([...this.#pending, ...this.#pluggingIn])].map(name => this.#devices.get(name)!);
  }

  /** What a device was given; undefined if there never was one of this name. */
  get(name: string): DeviceConfig | undefined {
    return this.#devices.get(name);
  }

  /** A device is about to be plugged in. */
  begin(name: string, device: DeviceConfig): void {
    this.#devices.set(name, { ...device, name });
    this.#pending.add(name);
  }

  /** The machine changed a device's medium. @returns the new configuration */
  change(name: string, device: DeviceConfig): MachineConfig {
    const before = this.#devices.get(name);
    this.#devices.set(name, device);
    const devices = this.#config.devices.map(entry =>
      entry.name === name ? { ...device, name, ...placeOf(entry) } : entry === before ? device : entry,
    );
    this.#config = { ...this.#config, devices };
    return this.#config;
  }

  /** The device is in, or has been given up. */
  end(name: string): void {
    this.#pending.delete(name);
  }

  /**
   * The machine now has these devices.
   * @param pluggingIn those about to be added
   * @returns its configuration, with each in its place; the previous object if nothing changed
   */
  follow(places: MachinePlaces, pluggingIn: readonly string[] = []): MachineConfig {
    this.#pluggingIn = pluggingIn.filter(name => this.#devices.has(name));
    this.#config = this.at(places);
    this.#names = this.#namesIn(places);
    return this.#config;
  }

  /** The configuration of the machine when it had these devices. */
  at(places: MachinePlaces): MachineConfig {
    if (isSameSet(this.#namesIn(places), this.#names)) return this.#config;
    const { rootPorts, devices } = places;
    const placed = devices.flatMap(({ name, bus, addr }) => {
      const device = this.#devices.get(name);
      if (device === undefined) return [];
      const { addr: _, ...options } = device;
      return [{ ...options, name, bus, ...(addr !== null && { addr }) }];
    });
    const config = { ...this.#config, devices: placed };
    const parsed = machineConfig.safeParse({
      ...config,
      rootPorts: { ...config.rootPorts, at: rootPorts },
    });
    // If the machine reports nonsense places, its devices get new ones at the next start.
    return parsed.success ? parsed.data : { ...config, devices: placed.map(withoutPlace) };
  }

  #namesIn({ devices }: MachinePlaces): Set<string> {
    return new Set(devices.map(({ name }) => name).filter(name => this.#devices.has(name)));
  }
}

function placeOf({ bus, addr }: DeviceConfig) {
  return { ...(bus !== undefined && { bus }), ...(addr !== undefined && { addr }) };
}

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every(name => b.has(name));
}

function withoutPlace({ bus: _, addr: __, ...device }: DeviceConfig): DeviceConfig {
  return device;
}

/** The names of a configuration's devices. Unnamed devices of module types are in the machine's order. */
function namesOf(devices: readonly DeviceConfig[], labels: readonly Named[]): string[] {
  const isOwn = ({ type }: Pick<DeviceConfig, 'type'>) => deviceTable.find(type) !== undefined;
  const own = deviceTable.names(devices.filter(isOwn));
  const given = new Set(devices.map(({ name }) => name));
  const others = labels.filter(label => !isOwn(label) && !given.has(label.name));
  return devices.map((device, index) => {
    if (isOwn(device)) return own.shift()!;
    if (device.name !== undefined) return device.name;
    const at = others.findIndex(({ type }) => type === device.type);
    return at < 0 ? `#${index}` : others.splice(at, 1)[0]!.name;
  });
}
