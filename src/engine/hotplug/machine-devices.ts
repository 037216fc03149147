import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import type { MachinePlaces, Topology } from '../../vmm/machine/topology.ts';
import { KnownDevices } from './known-devices.ts';

export type MachineDevicesOptions = {
  /** What the machine was started with; null if it is no longer known. */
  readonly atStart: MachineConfig | null;
  /** Devices that the previous manager was about to plug in. */
  readonly pending: readonly DeviceConfig[];
  /** Records the devices for later managers. @throws when that cannot be written */
  readonly recordLater: (config: MachineConfig, pending: readonly DeviceConfig[]) => void;
};

/** The devices of a VM's machine, which come and go, and its configuration, which follows them. */
export class MachineDevices {
  #config: MachineConfig;
  readonly #options: MachineDevicesOptions;
  /** Null until the machine has reported its devices. */
  #known: KnownDevices | null = null;
  /** The topology that the configuration reflects. */
  #followed: Topology | null = null;

  constructor(config: MachineConfig, options: MachineDevicesOptions) {
    this.#config = config;
    this.#options = options;
  }

  /** The machine's present configuration. */
  get config(): MachineConfig {
    return this.#config;
  }

  /** Called only while there is no machine. */
  rename(name: string): void {
    this.#config = { ...this.#config, name };
  }

  /** Whether the machine has, or had, other devices than it was started with. */
  get changed(): boolean {
    return this.#config !== this.#options.atStart;
  }

  /** What a device was given; undefined if there is none of this name. */
  get(name: string): DeviceConfig | undefined {
    return this.#known?.get(name);
  }

  /** Names of the devices that are being plugged in. */
  get pluggingIn(): readonly string[] {
    return this.#known?.pending.map(({ name }) => name!) ?? [];
  }

  /** The host devices that the machine has, or is about to have; null while not known. */
  get hostAddresses(): readonly string[] | null {
    if (this.#known === null) return null;
    const devices = [...this.#config.devices, ...this.#known.pending];
    return devices.flatMap(device => deviceTable.hostDevice(device)?.address ?? []);
  }

  /** The configuration of the machine when it had these devices. @param places default: the present ones */
  configAt(places: MachinePlaces | undefined): MachineConfig {
    return places === undefined || this.#known === null ? this.#config : this.#known.at(places);
  }

  /** Called for a new machine, or a new connection to it, which has not reported its devices yet. */
  forget(): void {
    this.#known = null;
  }

  /** Updates the configuration from the devices that the machine has. */
  follow(topology: Topology | null): void {
    if (topology?.places === undefined || topology === this.#followed) return;
    this.#followed = topology;
    this.#known ??= new KnownDevices(this.#config, this.#options.pending, topology.devices);
    const config = this.#known.follow(topology.places, topology.pluggingIn);
    if (config === this.#config) return;
    this.#config = config;
    this.#recordChange();
  }

  /**
   * Has a device plugged in, recorded so that the next manager knows it whatever happens to this one.
   * @param plug plugs it in. @throws what `plug` throws, or when the record cannot be written
   */
  async plug<Result>(name: string, device: DeviceConfig, plug: () => Promise<Result>): Promise<Result> {
    const known = this.#known;
    if (known === null) throw new Error(`${this.#config.name} has not reported its devices yet: try again`);
    known.begin(name, device);
    try {
      this.#recordLater();
      return await plug();
    } finally {
      known.end(name);
      if (this.#known === known) this.#recordChange();
    }
  }

  /** A device has another medium. @param device with all of its options */
  change(name: string, device: DeviceConfig): void {
    if (this.#known === null) return;
    this.#config = this.#known.change(name, device);
    this.#recordChange();
  }

  #recordChange(): void {
    try {
      this.#recordLater();
    } catch {
      // A later manager asks the machine whether it has the device.
    }
  }

  #recordLater(): void {
    this.#options.recordLater(this.#config, this.#known?.pending ?? []);
  }
}
