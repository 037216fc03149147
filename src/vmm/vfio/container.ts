import type { Info } from './call.ts';
import { capabilities, getInfo, tryVfioIoctl, vfioIoctl } from './call.ts';
import {
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_IOMMU_INFO_CAPS,
  VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
  VFIO_TYPE1v2_IOMMU,
} from './constants.ts';
import { type DmaDomain, type DmaMapping, type IovaRange, iovaRange } from './dma-domain.ts';
import type { IoctlName } from './ioctls.ts';
import * as structs from './structs.ts';

/** The container of a machine's groups (/dev/vfio/vfio) with one type 1 IOMMU (Documentation/driver-api/vfio.rst). */
export class Container implements DmaDomain {
  readonly fd: number;
  #hasIommu = false;

  constructor(fd: number) {
    this.fd = fd;
  }

  /**
   * Adds a group. The first one brings the IOMMU with it. If that fails, the group is not added.
   * @param run makes a call, and explains its errors
   */
  add(group: number, run: (name: IoctlName, call: () => void) => void): void {
    run('VFIO_GROUP_SET_CONTAINER', () => vfioIoctl(group, 'VFIO_GROUP_SET_CONTAINER', int(this.fd)));
    if (this.#hasIommu) return;
    try {
      run('VFIO_SET_IOMMU', () => vfioIoctl(this.fd, 'VFIO_SET_IOMMU', VFIO_TYPE1v2_IOMMU));
      this.#hasIommu = true;
    } catch (error) {
      this.remove(group);
      throw error;
    }
  }

  /** Removes a group, whose devices must be closed. The last one takes the IOMMU and all mappings with it. */
  remove(group: number): void {
    tryVfioIoctl(group, 'VFIO_GROUP_UNSET_CONTAINER');
  }

  ranges(): readonly IovaRange[] {
    const { value, bytes } = this.#info();
    const at = capabilityOf(value, bytes, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
    // The kernel does not report them before Linux 5.4.
    if (at === null) return [{ start: 0, end: Number.MAX_SAFE_INTEGER }];
    const { nr_iovas } = structs.vfioIommuType1InfoCapIovaRange.read(bytes, at);
    const first = at + structs.vfioIommuType1InfoCapIovaRange.size;
    return Array.from({ length: nr_iovas }, (_, index) => {
      const { start, end } = structs.vfioIovaRange.read(bytes, first + index * structs.vfioIovaRange.size);
      return iovaRange(start, end);
    });
  }

  map({ iova, size, host, writable }: DmaMapping): void {
    const flags = VFIO_DMA_MAP_FLAG_READ | (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0);
    const struct = structs.vfioIommuType1DmaMap;
    const value = { argsz: struct.size, flags, vaddr: host, iova: BigInt(iova), size: BigInt(size) };
    vfioIoctl(this.fd, 'VFIO_IOMMU_MAP_DMA', struct.encode(value));
  }

  unmap(iova: number, size: number): void {
    const struct = structs.vfioIommuType1DmaUnmap;
    const value = { argsz: struct.size, flags: 0, iova: BigInt(iova), size: BigInt(size) };
    vfioIoctl(this.fd, 'VFIO_IOMMU_UNMAP_DMA', struct.encode(value));
  }

  #info(): Info<typeof structs.vfioIommuType1Info.fields> {
    const value = { argsz: 0, flags: 0, iova_pgsizes: 0n, cap_offset: 0 };
    return getInfo(this.fd, 'VFIO_IOMMU_GET_INFO', structs.vfioIommuType1Info, value);
  }
}

function capabilityOf(
  { flags, cap_offset }: { readonly flags: number; readonly cap_offset: number },
  bytes: Uint8Array,
  id: number,
): number | null {
  if ((flags & VFIO_IOMMU_INFO_CAPS) === 0) return null;
  return capabilities(bytes, cap_offset).get(id) ?? null;
}

/** An argument that points to an int. */
function int(value: number): Uint8Array {
  return new Uint8Array(new Int32Array([value]).buffer);
}
