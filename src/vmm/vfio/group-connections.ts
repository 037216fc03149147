import type { Connection, ConnectionParts, SharedDomain } from './connection.ts';
import { Container } from './container.ts';
import type { DmaMap } from './dma-map.ts';
import { explained } from './errors.ts';
import type { GivenDevice } from './given-devices.ts';

type Group = { readonly fd: number; readonly number: number; readonly users: Set<string> };

/**
 * The devices of a machine that are connected by their IOMMU groups, in one container
 * (Documentation/driver-api/vfio.rst).
 */
export class GroupConnections {
  readonly #parts: ConnectionParts;
  readonly #groups = new Map<number, Group>();
  #container: SharedDomain<Container> | null = null;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
  }

  /** Null if there are none. */
  get dma(): DmaMap | null {
    return this.#container?.dma ?? null;
  }

  /** The fd of a group; undefined if the machine does not have it. */
  fdOf(number: number): number | undefined {
    return this.#groups.get(number)?.fd;
  }

  /** @throws HostDeviceError; its fds are then closed */
  join(given: GivenDevice): Connection {
    const { native, dmaMap } = this.#parts;
    const { address } = given;
    const containerFd = given.fds.get('container');
    if (this.#container === null) {
      if (containerFd === undefined) throw new Error(`no container was passed with host device ${address}`);
      const domain = new Container(containerFd);
      this.#container = { domain, dma: dmaMap(domain) };
    } else if (containerFd !== undefined) native.closeFd(containerFd);
    const { domain, dma } = this.#container;
    try {
      const group = this.#joinGroup(given, domain);
      group.users.add(address);
      const disconnect = () => {
        group.users.delete(address);
        const isLast = this.#groups.size === 1 && group.users.size === 0;
        // With the last group the kernel unmaps everything.
        if (isLast) dma.stop();
        if (group.users.size === 0) this.#leaveGroup(group, domain);
        if (isLast) this.#closeContainer();
      };
      return { given, group: group.fd, dma, disconnect };
    } catch (error) {
      if (this.#groups.size === 0) this.#closeContainer();
      throw error;
    }
  }

  #closeContainer(): void {
    if (this.#container === null) return;
    this.#parts.native.closeFd(this.#container.domain.fd);
    this.#container = null;
  }

  #joinGroup({ address, group: number, fds }: GivenDevice, container: Container): Group {
    const { native, kvm } = this.#parts;
    const fd = fds.get('group');
    const known = this.#groups.get(number);
    if (known !== undefined) {
      if (fd !== undefined) native.closeFd(fd);
      return known;
    }
    if (fd === undefined) throw new Error(`host device ${address} came without its IOMMU group ${number}`);
    try {
      container.add(fd, (name, call) => explained(address, name, call));
      kvm.add(fd);
    } catch (error) {
      native.closeFd(fd);
      throw error;
    }
    const group = { fd, number, users: new Set<string>() };
    this.#groups.set(number, group);
    return group;
  }

  #leaveGroup({ fd, number }: Group, container: Container): void {
    const { native, kvm } = this.#parts;
    kvm.remove(fd);
    container.remove(fd);
    native.closeFd(fd);
    this.#groups.delete(number);
  }
}
