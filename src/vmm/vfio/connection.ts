import type { ResourceOwner } from '../native/resource-owner.ts';
import type { DmaDomain } from './dma-domain.ts';
import type { DmaMap } from './dma-map.ts';
import type { GivenDevice } from './given-devices.ts';
import type { KvmVfio } from './kvm-vfio.ts';

/** How a device is connected to its machine, before a model has opened it and after. */
export type Connection = {
  readonly given: GivenDevice;
  /** The fd of its IOMMU group; null: it has a file of its own. */
  readonly group: number | null;
  /** The memory that it reaches; null: no IOMMU is between it and the host's memory. */
  readonly dma: DmaMap | null;
  /** Undoes it, once the device's fd is closed. */
  readonly disconnect: () => void;
};

/** What devices are connected with. */
export type ConnectionParts = {
  readonly native: ResourceOwner;
  readonly kvm: KvmVfio;
  /** Maps nothing yet. */
  readonly dmaMap: (domain: DmaDomain) => DmaMap;
};

/** The addresses of the IOMMU that all devices of one interface share. */
export type SharedDomain<Domain extends DmaDomain> = { readonly domain: Domain; readonly dma: DmaMap };
