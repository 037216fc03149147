/**
 * The structs that the ioctls of VFIO and iommufd take, under their names in linux/vfio.h and linux/iommufd.h. A test
 * compiles the real headers and compares every size and offset.
 */
import { Struct } from '../kvm/c-struct.ts';

// linux/vfio.h. `argsz` is the size of the struct with what follows it.

/** The start of each capability of an info struct; `next` is relative to the start of the info struct. */
export const vfioInfoCapHeader = new Struct('vfio_info_cap_header', {
  id: 'u16',
  version: 'u16',
  next: 'u32',
});

export const vfioGroupStatus = new Struct('vfio_group_status', { argsz: 'u32', flags: 'u32' });

export const vfioDeviceInfo = new Struct('vfio_device_info', {
  argsz: 'u32',
  flags: 'u32',
  num_regions: 'u32',
  num_irqs: 'u32',
  cap_offset: 'u32',
});

export const vfioRegionInfo = new Struct('vfio_region_info', {
  argsz: 'u32',
  flags: 'u32',
  index: 'u32',
  cap_offset: 'u32',
  size: 'u64',
  offset: 'u64',
});

/** `nr_areas` areas follow. */
export const vfioRegionInfoCapSparseMmap = new Struct('vfio_region_info_cap_sparse_mmap', {
  header: vfioInfoCapHeader,
  nr_areas: 'u32',
  reserved: { padding: 4 },
});
export const vfioRegionSparseMmapArea = new Struct('vfio_region_sparse_mmap_area', {
  offset: 'u64',
  size: 'u64',
});

export const vfioIrqInfo = new Struct('vfio_irq_info', {
  argsz: 'u32',
  flags: 'u32',
  index: 'u32',
  count: 'u32',
});

/** With DATA_EVENTFD, `count` fds (s32) follow. */
export const vfioIrqSet = new Struct('vfio_irq_set', {
  argsz: 'u32',
  flags: 'u32',
  index: 'u32',
  start: 'u32',
  count: 'u32',
});

/** `count` devices follow. */
export const vfioPciHotResetInfo = new Struct('vfio_pci_hot_reset_info', {
  argsz: 'u32',
  flags: 'u32',
  count: 'u32',
});
/** For a group fd: the group; for one bound to an iommufd: the id of the device there. */
export const vfioPciDependentDevice = new Struct('vfio_pci_dependent_device', {
  group_id: 'u32',
  segment: 'u16',
  bus: 'u8',
  devfn: 'u8',
});

/** `count` group fds (s32) follow. */
export const vfioPciHotReset = new Struct('vfio_pci_hot_reset', {
  argsz: 'u32',
  flags: 'u32',
  count: 'u32',
});

/** `token_uuid_ptr` is the address of a token's 16 bytes in this process; kernels before 6.17 do not know it. */
export const vfioDeviceBindIommufd = new Struct('vfio_device_bind_iommufd', {
  argsz: 'u32',
  flags: 'u32',
  iommufd: 's32',
  out_devid: 'u32',
  token_uuid_ptr: 'u64',
});

export const vfioDeviceAttachIommufdPt = new Struct('vfio_device_attach_iommufd_pt', {
  argsz: 'u32',
  flags: 'u32',
  pt_id: 'u32',
});

export const vfioDeviceDetachIommufdPt = new Struct('vfio_device_detach_iommufd_pt', {
  argsz: 'u32',
  flags: 'u32',
});

export const vfioIommuType1Info = new Struct('vfio_iommu_type1_info', {
  argsz: 'u32',
  flags: 'u32',
  iova_pgsizes: 'u64',
  cap_offset: 'u32',
  pad: { padding: 4 },
});

/** `nr_iovas` ranges follow. */
export const vfioIommuType1InfoCapIovaRange = new Struct('vfio_iommu_type1_info_cap_iova_range', {
  header: vfioInfoCapHeader,
  nr_iovas: 'u32',
  reserved: { padding: 4 },
});
/** `end` is the last byte. */
export const vfioIovaRange = new Struct('vfio_iova_range', { start: 'u64', end: 'u64' });

export const vfioIommuType1DmaMap = new Struct('vfio_iommu_type1_dma_map', {
  argsz: 'u32',
  flags: 'u32',
  vaddr: 'u64',
  iova: 'u64',
  size: 'u64',
});

export const vfioIommuType1DmaUnmap = new Struct('vfio_iommu_type1_dma_unmap', {
  argsz: 'u32',
  flags: 'u32',
  iova: 'u64',
  size: 'u64',
});

// linux/iommufd.h. `size` is that of the struct.

export const iommuDestroy = new Struct('iommu_destroy', { size: 'u32', id: 'u32' });

export const iommuIoasAlloc = new Struct('iommu_ioas_alloc', {
  size: 'u32',
  flags: 'u32',
  out_ioas_id: 'u32',
});

/** `last` is the last byte. */
export const iommuIovaRange = new Struct('iommu_iova_range', { start: 'u64', last: 'u64' });

/** `allowed_iovas` is the address of an array of `num_iovas` ranges in this process. */
export const iommuIoasIovaRanges = new Struct('iommu_ioas_iova_ranges', {
  size: 'u32',
  ioas_id: 'u32',
  num_iovas: 'u32',
  __reserved: { padding: 4 },
  allowed_iovas: 'u64',
  out_iova_alignment: 'u64',
});

export const iommuIoasMap = new Struct('iommu_ioas_map', {
  size: 'u32',
  flags: 'u32',
  ioas_id: 'u32',
  __reserved: { padding: 4 },
  user_va: 'u64',
  length: 'u64',
  iova: 'u64',
});

export const iommuIoasUnmap = new Struct('iommu_ioas_unmap', {
  size: 'u32',
  ioas_id: 'u32',
  iova: 'u64',
  length: 'u64',
});

export const iommuOption = new Struct('iommu_option', {
  size: 'u32',
  option_id: 'u32',
  op: 'u16',
  __reserved: { padding: 2 },
  object_id: 'u32',
  val64: 'u64',
});
