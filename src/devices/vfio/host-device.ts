import type { Cancel } from '../device.ts';
import type { DeviceMemory } from '../device-memory.ts';

/** Regions of a PCI device (linux/vfio.h, VFIO_PCI_*_REGION_INDEX). 0-5 are its BARs. */
export const REGION = { rom: 6, config: 7, vga: 8 } as const;

/** Interrupts of a PCI device (linux/vfio.h, VFIO_PCI_*_IRQ_INDEX). */
export const IRQ = { intx: 0, msi: 1, msix: 2, error: 3, request: 4 } as const;

/** A region of a device, accessed at offsets from its start. */
export interface HostRegion {
  /** Bytes; 0 if the device has no such region. */
  readonly size: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /**
   * The parts that can be mapped, in whole pages, ascending; empty if it can only be read and written. The pages of an
   * MSI-X table may be among them (VFIO_REGION_INFO_CAP_MSIX_MAPPABLE).
   */
  readonly mappable: readonly { readonly offset: number; readonly size: number }[];
  /**
   * Reads from the device. `bytes.length` is 1, 2, 4 or 8 at an aligned offset for one access of that width, or more
   * for a copy.
   * @throws HostDeviceError
   */
  read(offset: number, bytes: Uint8Array): void;
  /** @throws HostDeviceError */
  write(offset: number, bytes: Uint8Array): void;
  /**
   * Maps a part of it, which the guest then reaches without an exit wherever the model maps it. The page of a smaller
   * region is mapped below everything else in that page.
   * @param offset a multiple of 4096 inside one of `mappable`, as is `size`. @throws HostDeviceError
   */
  map(offset: number, size: number): DeviceMemory;
}

/** The result of VFIO_DEVICE_GET_IRQ_INFO for one of `IRQ`. */
export type HostIrq = {
  /** Vectors; 0 if the device has no such interrupt. */
  readonly count: number;
  readonly eventfd: boolean;
  readonly maskable: boolean;
  /** It is masked when it occurs, until it is unmasked. */
  readonly automasked: boolean;
  /** Vectors cannot be added while some are enabled: all must be disabled first. */
  readonly noresize: boolean;
};

/**
 * A PCI function of the host that its machine holds open through VFIO. Everything is closed no later than the machine.
 */
export interface HostDevice {
  /** `0000:01:10.0`. */
  readonly address: string;
  readonly api: 'group' | 'iommufd';
  /**
   * The host's methods to reset it, by preference, as in sysfs (`reset_method`: `flr`, `pm`, `bus`); empty if it cannot
   * be reset alone.
   */
  readonly resetMethods: readonly string[];
  /** @param index a BAR 0-5, or one of `REGION` */
  region(index: number): HostRegion;
  /** @param index one of `IRQ` */
  irq(index: number): HostIrq;
  /**
   * Connects eventfds to vectors, from `start` on; null for a vector that signals nothing. Enables the interrupt if
   * necessary.
   * @throws HostDeviceError
   */
  setTriggers(index: number, start: number, fds: readonly (number | null)[]): void;
  /** Disconnects all vectors, and disables the interrupt; does nothing if it is disabled. */
  disable(index: number): void;
  /** Makes a signal of `fd` unmask INTx inside the kernel; null disconnects it. @throws HostDeviceError */
  setUnmask(fd: number | null): void;
  /** Masks or unmasks INTx. @throws HostDeviceError */
  maskIntx(masked: boolean): void;
  /**
   * VFIO_DEVICE_RESET, or a reset of the bus if all functions on it belong to this machine. @returns whether it was
   * reset
   */
  reset(): boolean;
  /** Bytes of guest memory that it can access, and the number of IOMMU mappings for that. */
  readonly mappings: { readonly bytes: number; readonly count: number };
  /** Calls back when `mappings` has changed. */
  onMappings(hook: () => void): Cancel;
  close(): void;
}

/** A system call for a device failed. The message is for the user: what failed, the reason and the next step. */
export class HostDeviceError extends Error {
  override readonly name = 'HostDeviceError';
  /** `EIO`. */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/** Opens devices that the manager has opened for this machine. */
export interface HostDevices {
  /** @param address in full: `0000:01:10.0`. @throws an error for the user */
  open(address: string): HostDevice;
}
