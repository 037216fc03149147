/** Feature bits that belong to the transport and the rings (virtio 1.3 §6). */
export const FEATURE = {
  ringIndirectDesc: 1n << 28n,
  ringEventIdx: 1n << 29n,
  version1: 1n << 32n,
  /** The device's accesses may be translated by an IOMMU. */
  accessPlatform: 1n << 33n,
  ringPacked: 1n << 34n,
  /** Individual queues can be reset. */
  ringReset: 1n << 40n,
} as const;

/** Bits of the device status (virtio 1.3 §2.1). */
export const STATUS = {
  acknowledge: 0x01,
  driver: 0x02,
  driverOk: 0x04,
  featuresOk: 0x08,
  needsReset: 0x40,
  failed: 0x80,
} as const;

/** Means "no vector" in a vector register (virtio 1.3 §4.1.4.3). */
export const NO_VECTOR = 0xffff;
