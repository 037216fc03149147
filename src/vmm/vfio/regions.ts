import { PAGE, type Part } from '../../devices/host-block.ts';
import { HostDeviceError, type HostRegion, REGION } from '../../devices/vfio/host-device.ts';
import { pread, pwrite, SystemError } from '../native/libc.ts';
import { capabilities, getInfo } from './call.ts';
import * as flag from './constants.ts';
import { explain } from './errors.ts';
import * as structs from './structs.ts';

/** A region as the kernel describes it. */
export type RegionInfo = {
  readonly size: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Its offset in the device's file. */
  readonly fileOffset: number;
  /** The parts that the kernel can map: whole pages. */
  readonly mappable: readonly Part[];
  /** Whether the kernel can map an MSI-X table in it. */
  readonly msixMappable: boolean;
};

const NONE: RegionInfo = {
  size: 0,
  readable: false,
  writable: false,
  fileOffset: 0,
  mappable: [],
  msixMappable: false,
};

/** @param index a BAR 0-5, or one of `REGION`. @throws HostDeviceError */
export function regionInfo(fd: number, address: string, index: number): RegionInfo {
  try {
    const asked = { argsz: 0, flags: 0, index, cap_offset: 0, size: 0n, offset: 0n };
    const { value, bytes } = getInfo(fd, 'VFIO_DEVICE_GET_REGION_INFO', structs.vfioRegionInfo, asked);
    return parseRegion(value, bytes);
  } catch (error) {
    // The device has no such region; a device without VGA also returns this for the VGA region.
    if (error instanceof SystemError && error.code === 'EINVAL') return NONE;
    throw explain(address, 'VFIO_DEVICE_GET_REGION_INFO', error);
  }
}

type RawRegion = {
  readonly flags: number;
  readonly cap_offset: number;
  readonly size: bigint;
  readonly offset: bigint;
};

/** @param bytes the info struct with its capabilities */
export function parseRegion(value: RawRegion, bytes: Uint8Array): RegionInfo {
  const size = Number(value.size);
  const has = (bit: number) => (value.flags & bit) !== 0;
  const found = has(flag.VFIO_REGION_INFO_FLAG_CAPS) ? capabilities(bytes, value.cap_offset) : new Map();
  const sparse: number | undefined = found.get(flag.VFIO_REGION_INFO_CAP_SPARSE_MMAP);
  // For a BAR that is smaller than a page, the kernel maps the page if nothing else is on it.
  const whole = [{ offset: 0, size: Math.ceil(size / PAGE) * PAGE }];
  const areas = sparse === undefined ? whole : sparseAreas(bytes, sparse);
  const canMap = has(flag.VFIO_REGION_INFO_FLAG_MMAP) && size > 0;
  return {
    size,
    readable: has(flag.VFIO_REGION_INFO_FLAG_READ),
    writable: has(flag.VFIO_REGION_INFO_FLAG_WRITE),
    fileOffset: Number(value.offset),
    mappable: canMap ? areas : [],
    msixMappable: found.has(flag.VFIO_REGION_INFO_CAP_MSIX_MAPPABLE),
  };
}

/** Whole pages of the areas, ascending. */
function sparseAreas(bytes: Uint8Array, at: number): Part[] {
  const { nr_areas } = structs.vfioRegionInfoCapSparseMmap.read(bytes, at);
  const first = at + structs.vfioRegionInfoCapSparseMmap.size;
  return Array.from({ length: nr_areas }, (_, index) => {
    const area = structs.vfioRegionSparseMmapArea.read(
      bytes,
      first + index * structs.vfioRegionSparseMmapArea.size,
    );
    const offset = Math.ceil(Number(area.offset) / PAGE) * PAGE;
    const end = Math.floor(Number(area.offset + area.size) / PAGE) * PAGE;
    return { offset, size: end - offset };
  })
    .filter(({ size }) => size > 0)
    .sort((a, b) => a.offset - b.offset);
}

const NAMES: Readonly<Record<number, string>> = {
  [REGION.rom]: 'its ROM',
  [REGION.config]: 'its config space',
  [REGION.vga]: 'its VGA ranges',
};

/** `BAR 0`, `its ROM`. */
export function regionName(index: number): string {
  return NAMES[index] ?? `BAR ${index}`;
}

/** Accesses a region through its device's file. */
export function regionAccess(
  fd: number,
  address: string,
  index: number,
  info: RegionInfo,
): Pick<HostRegion, 'read' | 'write'> {
  const run = (what: 'read' | 'written', call: typeof pread, offset: number, bytes: Uint8Array) => {
    const place = `${bytes.length} bytes of ${regionName(index)} at 0x${offset.toString(16)}`;
    const isInside = offset >= 0 && offset + bytes.length <= info.size;
    if (!isInside) throw new HostDeviceError(`host device ${address} has no ${place}`, 'EINVAL');
    let done: number;
    try {
      done = call(fd, bytes, info.fileOffset + offset);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new HostDeviceError(
        `host device ${address}: ${place} cannot be ${what}: ${error.code}`,
        error.code,
      );
    }
    if (done !== bytes.length)
      throw new HostDeviceError(`host device ${address}: ${done} of ${place} can be ${what}`, 'EIO');
  };
  return {
    read: (offset, bytes) => run('read', pread, offset, bytes),
    write: (offset, bytes) => run('written', pwrite, offset, bytes),
  };
}
