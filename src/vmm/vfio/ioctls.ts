/**
 * The ioctls of VFIO (linux/vfio.h) and of iommufd (linux/iommufd.h). Both have the type ';'. A test compiles the real
 * headers and compares every number.
 */

const TYPE = 0x3b;
const VFIO_BASE = 100;

/** _IO of asm-generic/ioctl.h. */
const io = (number: number) => (TYPE << 8) | number;
const vfio = (number: number) => io(VFIO_BASE + number);

export const IOCTLS = {
  // of /dev/vfio/vfio, a container
  VFIO_GET_API_VERSION: vfio(0),
  VFIO_CHECK_EXTENSION: vfio(1),
  VFIO_SET_IOMMU: vfio(2),
  VFIO_IOMMU_GET_INFO: vfio(12),
  VFIO_IOMMU_MAP_DMA: vfio(13),
  VFIO_IOMMU_UNMAP_DMA: vfio(14),
  // of /dev/vfio/GROUP
  VFIO_GROUP_GET_STATUS: vfio(3),
  VFIO_GROUP_SET_CONTAINER: vfio(4),
  VFIO_GROUP_UNSET_CONTAINER: vfio(5),
  VFIO_GROUP_GET_DEVICE_FD: vfio(6),
  // of a device
  VFIO_DEVICE_GET_INFO: vfio(7),
  VFIO_DEVICE_GET_REGION_INFO: vfio(8),
  VFIO_DEVICE_GET_IRQ_INFO: vfio(9),
  VFIO_DEVICE_SET_IRQS: vfio(10),
  VFIO_DEVICE_RESET: vfio(11),
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: vfio(12),
  VFIO_DEVICE_PCI_HOT_RESET: vfio(13),
  VFIO_DEVICE_BIND_IOMMUFD: vfio(18),
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: vfio(19),
  VFIO_DEVICE_DETACH_IOMMUFD_PT: vfio(20),
  // of /dev/iommu
  IOMMU_DESTROY: io(0x80),
  IOMMU_IOAS_ALLOC: io(0x81),
  IOMMU_IOAS_IOVA_RANGES: io(0x84),
  IOMMU_IOAS_MAP: io(0x85),
  IOMMU_IOAS_UNMAP: io(0x86),
  IOMMU_OPTION: io(0x87),
} as const;

export type IoctlName = keyof typeof IOCTLS;
