import { type HostDevice, HostDeviceError, type HostDevices } from '../../devices/vfio/host-device.ts';
import type { VmFd } from '../kvm/vm-fd.ts';
import type { MachineMemory } from '../memory/machine-memory.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { deviceName, vfioIoctl } from './call.ts';
import type { Connection, ConnectionParts } from './connection.ts';
import { DmaMap } from './dma-map.ts';
import { explained } from './errors.ts';
import type { GivenDevice } from './given-devices.ts';
import { GroupConnections } from './group-connections.ts';
import { type BusReset, resetBus } from './hot-reset.ts';
import { IommufdConnections } from './iommufd-connections.ts';
import { KvmVfio } from './kvm-vfio.ts';
import { VfioDevice } from './vfio-device.ts';

export type HostDevicesOptions = {
  readonly native: ResourceOwner;
  readonly vm: Pick<VmFd, 'createDevice'>;
  readonly memory: Pick<MachineMemory, 'space' | 'ram'>;
  /** Page size of RAM, in bytes. */
  readonly pageSize: number;
  /** Whether identical pages of RAM may be merged. */
  readonly mergeable: boolean;
  /** Warns the user about something that does not stop the machine. */
  readonly warn: (text: string) => void;
  /** Calls back in a moment. */
  readonly later: (step: () => void) => void;
};

/**
 * The PCI devices of the host that a machine has. Its manager opens their files and hands them over; everything else is
 * done here, in the process whose memory the devices access.
 */
export class MachineHostDevices implements HostDevices {
  readonly #options: HostDevicesOptions;
  readonly #groups: GroupConnections;
  readonly #iommufd: IommufdConnections;
  readonly #given = new Map<string, GivenDevice>();
  readonly #connected = new Map<string, Connection>();
  readonly #open = new Map<string, VfioDevice>();

  constructor(options: HostDevicesOptions) {
    this.#options = options;
    const { native, vm, warn, pageSize } = options;
    const parts: ConnectionParts = {
      ...{ native, kvm: new KvmVfio(vm) },
      dmaMap: domain => new DmaMap({ domain, warn, pageSize }),
    };
    this.#groups = new GroupConnections(parts);
    this.#iommufd = new IommufdConnections(parts);
  }

  /** Takes devices, whose fds belong to the machine from then on. @throws HostDeviceError, after closing them */
  give(devices: readonly GivenDevice[]): void {
    for (const device of devices) {
      for (const fd of device.fds.values()) this.#options.native.ownFd(fd);
      this.#given.set(device.address, device);
    }
    const [device] = devices;
    if (device === undefined || !this.#options.mergeable) return;
    this.release(devices.map(({ address }) => address));
    throw new HostDeviceError(
      `host device ${device.address}: its DMA needs memory that stays where it is, but that of the VM may be merged ` +
        "with other VMs' (KSM): remove mergeable from its memory settings",
      'EINVAL',
    );
  }

  /**
   * Maps the memory of a running machine for devices that were passed to it, in steps between which it runs. They can
   * be opened after that.
   * @param done called with the error if it failed, after closing the devices
   */
  prepare(addresses: readonly string[], done: (failure: Error | null) => void): void {
    const { memory, later } = this.#options;
    let isOver = false;
    const finish = (failure: Error | null) => {
      if (isOver) return;
      isOver = true;
      if (failure !== null) this.release(addresses);
      done(failure);
    };
    try {
      const dmas = new Set(addresses.flatMap(address => this.#connection(address).dma ?? []));
      const waiting = new Set(dmas);
      if (dmas.size > 0) this.#options.memory.ram.pinned = true;
      for (const dma of dmas) {
        dma.startInSteps(memory.space, later, failure => {
          waiting.delete(dma);
          if (failure !== null || waiting.size === 0) finish(failure);
        });
      }
      if (dmas.size === 0) finish(null);
    } catch (error) {
      finish(error as Error);
    }
    this.#pinned();
  }

  open(address: string): HostDevice {
    if (this.#open.has(address))
      throw new Error(`host device ${address} is another device of the VM already`);
    const connected = this.#connection(address);
    try {
      if (connected.dma !== null && !connected.dma.active) {
        this.#options.memory.ram.pinned = true;
        connected.dma.start(this.#options.memory.space);
      }
      this.#pinned();
      const device = this.#openDevice(connected);
      this.#open.set(address, device);
      if (this.#open.size > 1) this.#meetPeers();
      return device;
    } catch (error) {
      this.release([address]);
      throw error;
    }
  }

  /** Closes devices that no model has opened. */
  release(addresses: readonly string[]): void {
    for (const address of addresses) {
      const connected = this.#open.has(address) ? undefined : this.#connected.get(address);
      if (connected !== undefined) {
        const fd = connected.given.fds.get('device');
        if (fd !== undefined) this.#closeDevice(connected, fd);
        this.#disconnect(connected);
      }
      for (const fd of this.#given.get(address)?.fds.values() ?? []) this.#options.native.closeFd(fd);
      this.#given.delete(address);
    }
  }

  /** All models have opened their devices. @throws if some of those passed have not been opened */
  checkGiven(): void {
    const [address] = this.#given.keys();
    if (address === undefined) return;
    this.release([...this.#given.keys()]);
    throw new Error(`no device of the VM is the host device ${address}, which it was given`);
  }

  #connection(address: string): Connection {
    const connected = this.#connected.get(address);
    if (connected !== undefined) return connected;
    const given = this.#given.get(address);
    if (given === undefined) throw new Error(`the machine was not given the host device ${address}`);
    return this.#connect(given);
  }

  #connect(given: GivenDevice): Connection {
    const { address, api } = given;
    this.#given.delete(address);
    const interfaceOf = { group: this.#groups, iommufd: this.#iommufd };
    const connected = given.noIommu ? this.#withoutIommu(given) : interfaceOf[api].join(given);
    this.#connected.set(address, connected);
    try {
      if (connected.dma?.active) connected.dma.recheck();
    } catch (error) {
      this.release([address]);
      throw error;
    }
    return connected;
  }

  #withoutIommu(given: GivenDevice): Connection {
    const { native, warn } = this.#options;
    warn(
      `host device ${given.address} has no IOMMU: it reads and writes all memory of the host, at addresses that the guest chooses`,
    );
    const disconnect = () => {
      for (const [kind, fd] of given.fds) if (kind !== 'device') native.closeFd(fd);
    };
    return { given, group: null, dma: null, disconnect };
  }

  #openDevice(connected: Connection): VfioDevice {
    const { given, group } = connected;
    const fd = given.fds.get('device');
    if (fd !== undefined) return this.#wrap(connected, fd);
    const { address, vfToken } = given;
    const opened = explained(address, 'VFIO_GROUP_GET_DEVICE_FD', () =>
      vfioIoctl(group!, 'VFIO_GROUP_GET_DEVICE_FD', deviceName(address, vfToken)),
    );
    this.#options.native.ownFd(opened);
    try {
      return this.#wrap(connected, opened);
    } catch (error) {
      this.#options.native.closeFd(opened);
      throw error;
    }
  }

  #wrap(connected: Connection, fd: number): VfioDevice {
    const { native, memory } = this.#options;
    const { address, api, resetMethods } = connected.given;
    return new VfioDevice(
      { address, api, resetMethods, fd },
      {
        native,
        space: memory.space,
        dma: connected.dma,
        resetBus: (device, reset) => this.#resetBus(device, reset),
        closed: () => {
          this.#open.delete(address);
          this.#closeDevice(connected, fd);
          this.#disconnect(connected);
        },
      },
    );
  }

  #closeDevice({ given }: Connection, fd: number): void {
    if (given.api === 'iommufd') this.#iommufd.detach(fd);
    this.#options.native.closeFd(fd);
  }

  /** Its device's fd is closed. */
  #disconnect(connected: Connection): void {
    if (this.#connected.get(connected.given.address) !== connected) return;
    this.#connected.delete(connected.given.address);
    connected.disconnect();
    this.#pinned();
  }

  #meetPeers(): void {
    for (const { dma } of [this.#groups, this.#iommufd]) dma?.meetPeers();
  }

  /** An in-place reset of the machine must not take pages from devices that have pinned them. */
  #pinned(): void {
    const interfaces = [this.#groups, this.#iommufd];
    this.#options.memory.ram.pinned = interfaces.some(({ dma }) => dma?.active ?? false);
  }

  #resetBus(device: VfioDevice, { devices, owned }: BusReset): boolean {
    const affected = [...this.#open.values()].filter(other =>
      devices.some(({ address }) => address === other.address),
    );
    if (affected.some(other => other !== device && other.inUse)) return false;
    if (device.api === 'iommufd') return owned === true && resetBus(device.fd, []);
    const groups = [...new Set(devices.map(({ group }) => group))].map(number => this.#groups.fdOf(number));
    const ours = groups.filter(fd => fd !== undefined);
    return ours.length === groups.length && resetBus(device.fd, ours);
  }
}
