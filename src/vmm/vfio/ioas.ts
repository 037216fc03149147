import { constants } from 'node:os';
import { ARGUMENT_BYTES, argumentMemory } from '../native/argument-memory.ts';
import { SystemError } from '../native/libc.ts';
import { tryVfioIoctl, vfioIoctl } from './call.ts';
import {
  IOMMU_IOAS_MAP_FIXED_IOVA,
  IOMMU_IOAS_MAP_READABLE,
  IOMMU_IOAS_MAP_WRITEABLE,
  VFIO_DEVICE_BIND_FLAG_TOKEN,
} from './constants.ts';
import { type DmaDomain, type DmaMapping, type IovaRange, iovaRange } from './dma-domain.ts';
import * as structs from './structs.ts';

const MAX_RANGES = Math.floor(ARGUMENT_BYTES / structs.iommuIovaRange.size);

/** An I/O address space of iommufd (Documentation/userspace-api/iommufd.rst), which a machine's devices share. */
export class Ioas implements DmaDomain {
  /** /dev/iommu. */
  readonly fd: number;
  readonly #id: number;

  /** @throws SystemError */
  constructor(fd: number) {
    const bytes = structs.iommuIoasAlloc.encode({
      size: structs.iommuIoasAlloc.size,
      flags: 0,
      out_ioas_id: 0,
    });
    vfioIoctl(fd, 'IOMMU_IOAS_ALLOC', bytes);
    this.fd = fd;
    this.#id = structs.iommuIoasAlloc.read(bytes).out_ioas_id;
  }

  /**
   * Binds an open device to this iommufd, which gives it exclusive use until the device's fd is closed.
   * @param vfToken a UUID, which kernels before 6.17 do not accept here @throws SystemError
   */
  bind(device: number, vfToken?: string): void {
    const struct = structs.vfioDeviceBindIommufd;
    const value = { iommufd: this.fd, out_devid: 0 };
    if (vfToken === undefined) {
      const before = { argsz: struct.offset('token_uuid_ptr'), flags: 0, token_uuid_ptr: 0n };
      vfioIoctl(device, 'VFIO_DEVICE_BIND_IOMMUFD', struct.encode({ ...value, ...before }));
      return;
    }
    const memory = argumentMemory();
    memory.bytes.set(Buffer.from(vfToken.replaceAll('-', ''), 'hex'));
    const token = { flags: VFIO_DEVICE_BIND_FLAG_TOKEN, token_uuid_ptr: memory.address };
    const argument = struct.encode({ ...value, argsz: struct.size, ...token });
    vfioIoctl(device, 'VFIO_DEVICE_BIND_IOMMUFD', argument);
  }

  /** Lets a bound device access what is mapped. @throws SystemError */
  attach(device: number): void {
    const struct = structs.vfioDeviceAttachIommufdPt;
    const value = { argsz: struct.size, flags: 0, pt_id: this.#id };
    vfioIoctl(device, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', struct.encode(value));
  }

  detach(device: number): void {
    const struct = structs.vfioDeviceDetachIommufdPt;
    tryVfioIoctl(device, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', struct.encode({ argsz: struct.size, flags: 0 }));
  }

  ranges(): readonly IovaRange[] {
    const memory = argumentMemory();
    const struct = structs.iommuIoasIovaRanges;
    const bytes = struct.encode({
      size: struct.size,
      ioas_id: this.#id,
      num_iovas: MAX_RANGES,
      allowed_iovas: memory.address,
      out_iova_alignment: 0n,
    });
    const result = tryVfioIoctl(this.fd, 'IOMMU_IOAS_IOVA_RANGES', bytes);
    // EMSGSIZE: there are more ranges; the kernel will refuse mappings in those.
    if (result < 0 && result !== -constants.errno.EMSGSIZE)
      throw new SystemError('ioctl IOMMU_IOAS_IOVA_RANGES', -result);
    const count = Math.min(struct.read(bytes).num_iovas, MAX_RANGES);
    return Array.from({ length: count }, (_, index) => {
      const at = index * structs.iommuIovaRange.size;
      const { start, last } = structs.iommuIovaRange.read(memory.bytes, at);
      return iovaRange(start, last);
    });
  }

  map({ iova, size, host, writable }: DmaMapping): void {
    const struct = structs.iommuIoasMap;
    const access = IOMMU_IOAS_MAP_READABLE | (writable ? IOMMU_IOAS_MAP_WRITEABLE : 0);
    const value = {
      size: struct.size,
      flags: IOMMU_IOAS_MAP_FIXED_IOVA | access,
      ioas_id: this.#id,
      user_va: host,
      length: BigInt(size),
      iova: BigInt(iova),
    };
    vfioIoctl(this.fd, 'IOMMU_IOAS_MAP', struct.encode(value));
  }

  unmap(iova: number, size: number): void {
    const struct = structs.iommuIoasUnmap;
    const value = { size: struct.size, ioas_id: this.#id, iova: BigInt(iova), length: BigInt(size) };
    vfioIoctl(this.fd, 'IOMMU_IOAS_UNMAP', struct.encode(value));
  }

  /** Call it when its last device is gone: unmaps everything. */
  destroy(): void {
    const struct = structs.iommuDestroy;
    tryVfioIoctl(this.fd, 'IOMMU_DESTROY', struct.encode({ size: struct.size, id: this.#id }));
  }
}
