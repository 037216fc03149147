import type { ResourceOwner } from '../native/resource-owner.ts';
import type { DmaDomain } from './dma-domain.ts';
import type { DmaMap } from './dma-map.ts';
import type { GivenDevice } from './given-devices.ts';
import type { KvmVfio } from './kvm-vfio.ts';

/** The connection of a device to its machine, before a model has opened it and after. */
export type Connection = {
  readonly given: GivenDevice;
  /** The fd of its IOMMU group; null if it has its own file. */
  readonly group: number | null;
  /** The memory that it accesses; null if no IOMMU is between it and the host's memory. */
  readonly dma: DmaMap | null;
  /** Undoes the connection, once the device's fd is closed. */
  readonly disconnect: () => void;
};

/** What is needed to connect devices. */
export type ConnectionParts = {
  readonly native: ResourceOwner;
  readonly kvm: KvmVfio;
  /** Creates a map, still empty. */
  readonly dmaMap: (domain: DmaDomain) => DmaMap;
};

/** The addresses of the IOMMU that all devices of one interface share. */
export type SharedDomain<Domain extends DmaDomain> = { readonly domain: Domain; readonly dma: DmaMap };
