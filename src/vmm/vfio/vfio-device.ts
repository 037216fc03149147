import type { Cancel } from '../../devices/device.ts';
import type { DeviceMemory } from '../../devices/device-memory.ts';
import { PAGE, withoutPages } from '../../devices/host-block.ts';
import {
  type HostDevice,
  HostDeviceError,
  type HostIrq,
  type HostRegion,
  IRQ,
  REGION,
} from '../../devices/vfio/host-device.ts';
import type { AddressSpace } from '../memory/address-space.ts';
import { SystemError } from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { tryVfioIoctl, vfioIoctl, withNumbers } from './call.ts';
import * as flag from './constants.ts';
import type { DmaMap } from './dma-map.ts';
import { explained } from './errors.ts';
import { type BusReset, busResetOf } from './hot-reset.ts';
import { findMsixTable, type MsixTable } from './msix-table.ts';
import { type RegionInfo, regionAccess, regionInfo, regionName } from './regions.ts';
import { RegisterMemory } from './register-memory.ts';
import { vfioDeviceInfo, vfioIrqInfo, vfioIrqSet } from './structs.ts';

/** What a device needs from its machine. */
export type DeviceOwner = {
  readonly native: ResourceOwner;
  readonly space: AddressSpace;
  /** Null if no IOMMU is between it and the host's memory. */
  readonly dma: DmaMap | null;
  /**
   * Resets the bus, if all affected devices belong to this machine, and none of them is in use.
   * @returns whether it did
   */
  readonly resetBus: (device: VfioDevice, reset: BusReset) => boolean;
  /** Called once the device is closed. */
  readonly closed: (device: VfioDevice) => void;
};

export type OpenDevice = Pick<HostDevice, 'address' | 'api' | 'resetMethods'> & { readonly fd: number };

const NO_IRQ: HostIrq = { count: 0, eventfd: false, maskable: false, automasked: false, noresize: false };
const NO_MAPPINGS = { bytes: 0, count: 0 };

/** A PCI function of the host behind its VFIO file. */
export class VfioDevice implements HostDevice {
  readonly address: string;
  readonly api: 'group' | 'iommufd';
  readonly resetMethods: readonly string[];
  readonly fd: number;
  readonly #owner: DeviceOwner;
  readonly #canReset: boolean;
  readonly #regions = new Map<number, HostRegion>();
  readonly #irqs = new Map<number, HostIrq>();
  readonly #mapped = new Set<RegisterMemory>();
  /** Indices of enabled interrupts. */
  readonly #enabled = new Set<number>();
  #msixTable: MsixTable | null | undefined;
  #closed = false;

  /** @param open the owner takes over its fd. @throws HostDeviceError */
  constructor({ address, api, resetMethods, fd }: OpenDevice, owner: DeviceOwner) {
    this.address = address;
    this.api = api;
    this.resetMethods = resetMethods;
    this.fd = fd;
    this.#owner = owner;
    const { size } = vfioDeviceInfo;
    const bytes = vfioDeviceInfo.encode({
      argsz: size,
      flags: 0,
      num_regions: 0,
      num_irqs: 0,
      cap_offset: 0,
    });
    explained(address, 'VFIO_DEVICE_GET_INFO', () => vfioIoctl(fd, 'VFIO_DEVICE_GET_INFO', bytes));
    const { flags } = vfioDeviceInfo.read(bytes);
    if ((flags & flag.VFIO_DEVICE_FLAGS_PCI) === 0)
      throw new HostDeviceError(`VFIO does not present host device ${address} as a PCI device`, 'EINVAL');
    this.#canReset = (flags & flag.VFIO_DEVICE_FLAGS_RESET) !== 0;
  }

  region(index: number): HostRegion {
    let region = this.#regions.get(index);
    if (region === undefined) {
      region = this.#describeRegion(index);
      this.#regions.set(index, region);
    }
    return region;
  }

  irq(index: number): HostIrq {
    let irq = this.#irqs.get(index);
    if (irq === undefined) {
      irq = this.#describeIrq(index);
      this.#irqs.set(index, irq);
    }
    return irq;
  }

  setTriggers(index: number, start: number, fds: readonly (number | null)[]): void {
    const eventfds = fds.map(fd => fd ?? -1);
    const flags = flag.VFIO_IRQ_SET_DATA_EVENTFD | flag.VFIO_IRQ_SET_ACTION_TRIGGER;
    this.#setIrqs({ flags, index, start, count: eventfds.length }, eventfds);
    this.#enabled.add(index);
  }

  disable(index: number): void {
    this.#enabled.delete(index);
    const flags = flag.VFIO_IRQ_SET_DATA_NONE | flag.VFIO_IRQ_SET_ACTION_TRIGGER;
    // EINVAL: it is not enabled. Other errors: the device is gone, and its interrupts with it.
    tryVfioIoctl(
      this.fd,
      'VFIO_DEVICE_SET_IRQS',
      withNumbers(vfioIrqSet, { flags, index, start: 0, count: 0 }, []),
    );
  }

  setUnmask(fd: number | null): void {
    const flags = flag.VFIO_IRQ_SET_DATA_EVENTFD | flag.VFIO_IRQ_SET_ACTION_UNMASK;
    this.#setIrqs({ flags, index: IRQ.intx, start: 0, count: 1 }, [fd ?? -1]);
  }

  maskIntx(masked: boolean): void {
    const action = masked ? flag.VFIO_IRQ_SET_ACTION_MASK : flag.VFIO_IRQ_SET_ACTION_UNMASK;
    this.#setIrqs({ flags: flag.VFIO_IRQ_SET_DATA_NONE | action, index: IRQ.intx, start: 0, count: 1 }, []);
  }

  reset(): boolean {
    if (this.#canReset && tryVfioIoctl(this.fd, 'VFIO_DEVICE_RESET') >= 0) return true;
    const reset = busResetOf(this.fd);
    return reset !== null && this.#owner.resetBus(this, reset);
  }

  /** Whether its driver in the guest uses it: INTx, MSI or MSI-X is enabled. */
  get inUse(): boolean {
    return [IRQ.intx, IRQ.msi, IRQ.msix].some(index => this.#enabled.has(index));
  }

  get mappings(): { readonly bytes: number; readonly count: number } {
    return this.#owner.dma?.mappings ?? NO_MAPPINGS;
  }

  onMappings(hook: () => void): Cancel {
    return this.#owner.dma?.onChange(hook) ?? (() => {});
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const index of [...this.#enabled]) this.disable(index);
    for (const memory of [...this.#mapped]) memory.release();
    this.#owner.closed(this);
  }

  #describeRegion(index: number): HostRegion {
    const info = regionInfo(this.fd, this.address, index);
    const mappable = this.#mappable(index, info);
    const { size, readable, writable } = info;
    const access = regionAccess(this.fd, this.address, index, info);
    const region: Omit<HostRegion, 'map'> = { size, readable, writable, mappable, ...access };
    return { ...region, map: (offset, length) => this.#map(index, info, region, offset, length) };
  }

  /** Older kernels (before 4.16) refuse to map the pages of an MSI-X table, and may not report it. */
  #mappable(index: number, { mappable, msixMappable }: RegionInfo): HostRegion['mappable'] {
    if (mappable.length === 0 || msixMappable) return mappable;
    if (this.#msixTable === undefined) this.#msixTable = findMsixTable(this.region(REGION.config));
    const table = this.#msixTable;
    return table?.bar === index ? withoutPages(mappable, table) : mappable;
  }

  #map(
    index: number,
    info: RegionInfo,
    region: Omit<HostRegion, 'map'>,
    offset: number,
    length: number,
  ): DeviceMemory {
    const isInside = region.mappable.some(
      part => offset >= part.offset && offset + length <= part.offset + part.size,
    );
    const place = `0x${length.toString(16)} bytes of ${regionName(index)} at 0x${offset.toString(16)}`;
    if (!isInside || length <= 0 || offset % PAGE !== 0 || length % PAGE !== 0)
      throw new HostDeviceError(`host device ${this.address}: ${place} cannot be mapped`, 'EINVAL');
    try {
      const memory = new RegisterMemory({
        name: `${this.address} ${regionName(index)}`,
        owner: this.#owner.native,
        space: this.#owner.space,
        fd: this.fd,
        fileOffset: info.fileOffset + offset,
        size: length,
        region,
        offset,
        released: gone => this.#mapped.delete(gone),
      });
      this.#mapped.add(memory);
      return memory;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const message = `host device ${this.address}: ${place} cannot be mapped: ${error.message}`;
      throw new HostDeviceError(message, error.code);
    }
  }

  #describeIrq(index: number): HostIrq {
    const bytes = vfioIrqInfo.encode({ argsz: vfioIrqInfo.size, flags: 0, index, count: 0 });
    // EINVAL: the device has none of this kind; one without PCI Express has no error interrupt.
    if (tryVfioIoctl(this.fd, 'VFIO_DEVICE_GET_IRQ_INFO', bytes) < 0) return NO_IRQ;
    const { flags, count } = vfioIrqInfo.read(bytes);
    return {
      count,
      eventfd: (flags & flag.VFIO_IRQ_INFO_EVENTFD) !== 0,
      maskable: (flags & flag.VFIO_IRQ_INFO_MASKABLE) !== 0,
      automasked: (flags & flag.VFIO_IRQ_INFO_AUTOMASKED) !== 0,
      noresize: (flags & flag.VFIO_IRQ_INFO_NORESIZE) !== 0,
    };
  }

  #setIrqs(
    set: { readonly flags: number; readonly index: number; readonly start: number; readonly count: number },
    eventfds: readonly number[],
  ): void {
    const argument = withNumbers(vfioIrqSet, set, eventfds);
    explained(this.address, 'VFIO_DEVICE_SET_IRQS', () =>
      vfioIoctl(this.fd, 'VFIO_DEVICE_SET_IRQS', argument),
    );
  }
}
