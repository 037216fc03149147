import type { Connection, ConnectionParts, SharedDomain } from './connection.ts';
import type { DmaMap } from './dma-map.ts';
import { explained } from './errors.ts';
import type { GivenDevice } from './given-devices.ts';
import { Ioas } from './ioas.ts';

/**
 * The devices of a machine that have their own files, in one I/O address space of an iommufd
 * (Documentation/userspace-api/iommufd.rst).
 */
export class IommufdConnections {
  readonly #parts: ConnectionParts;
  readonly #users = new Set<GivenDevice>();
  #ioas: SharedDomain<Ioas> | null = null;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
  }

  /** Null if there are none. */
  get dma(): DmaMap | null {
    return this.#ioas?.dma ?? null;
  }

  /** @throws HostDeviceError; its fds are then closed */
  join(given: GivenDevice): Connection {
    const { native, kvm, dmaMap } = this.#parts;
    const { address, fds, vfToken } = given;
    const iommufd = fds.get('iommufd');
    const fd = fds.get('device');
    if (fd === undefined) throw new Error(`host device ${address} came without its file`);
    if (this.#ioas === null) {
      if (iommufd === undefined) throw new Error(`host device ${address} came without an iommufd`);
      const domain = this.#allocate(address, [iommufd, fd], iommufd);
      this.#ioas = { domain, dma: dmaMap(domain) };
    } else if (iommufd !== undefined) native.closeFd(iommufd);
    const { domain, dma } = this.#ioas;
    this.#users.add(given);
    const disconnect = () => this.#leave(given);
    try {
      // KVM must know it before it is bound.
      kvm.add(fd);
      explained(address, 'VFIO_DEVICE_BIND_IOMMUFD', () => domain.bind(fd, vfToken));
      explained(address, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', () => domain.attach(fd));
    } catch (error) {
      kvm.remove(fd);
      native.closeFd(fd);
      disconnect();
      throw error;
    }
    return { given, group: null, dma, disconnect };
  }

  /** A device's file is about to be closed. */
  detach(fd: number): void {
    this.#ioas?.domain.detach(fd);
    this.#parts.kvm.remove(fd);
  }

  #leave(given: GivenDevice): void {
    this.#users.delete(given);
    if (this.#ioas === null || this.#users.size > 0) return;
    const { domain, dma } = this.#ioas;
    dma.stop();
    domain.destroy();
    this.#parts.native.closeFd(domain.fd);
    this.#ioas = null;
  }

  /** @param fds closed if that fails */
  #allocate(address: string, fds: readonly number[], iommufd: number): Ioas {
    try {
      return explained(address, 'IOMMU_IOAS_ALLOC', () => new Ioas(iommufd));
    } catch (error) {
      for (const fd of fds) this.#parts.native.closeFd(fd);
      throw error;
    }
  }
}
