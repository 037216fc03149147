import type { Cancel } from '../device.ts';
import type { DeviceMemory } from '../device-memory.ts';

/** Regions of a PCI device (linux/vfio.h, VFIO_PCI_*_REGION_INDEX). 0-5 are its BARs. */
export const REGION = { rom: 6, config: 7, vga: 8 } as const;

/** Interrupts of a PCI device (linux/vfio.h, VFIO_PCI_*_IRQ_INDEX). */
export const IRQ = { intx: 0, msi: 1, msix: 2, error: 3, request: 4 } as const;

/** A region of a device, which is read and written at offsets from its start. */
export interface HostRegion {
  /** Bytes; 0: the device has no such region. */
  readonly size: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /**
   * The parts that can be mapped, whole pages, ascending; empty: it can only be read and written. The pages of an MSI-X table may be among
   * them (VFIO_REGION_INFO_CAP_MSIX_MAPPABLE).
   */
  readonly mappable: readonly { readonly offset: number; readonly size: number }[];
  /**
   * Reads from the device. `bytes.length` is 1, 2, 4 or 8 at an aligned offset for one access of that width, or more for a copy.
   * @throws HostDeviceError
   */
  read(offset: number, bytes: Uint8Array): void;
  /** @throws HostDeviceError */
  write(offset: number, bytes: Uint8Array): void;
  /**
   * Maps a part of it, which the guest then reaches without an exit wherever the model shows it. The page of a region that is smaller
   * is shown below all else that is in that page.
   * @param offset a multiple of 4096 inside one of `mappable`, as is `size`. @throws HostDeviceError
   */
  map(offset: number, size: number): DeviceMemory;
}

/** What VFIO_DEVICE_GET_IRQ_INFO says of one of `IRQ`. */
export type HostIrq = {
  /** Vectors; 0: the device has no such interrupt. */
  readonly count: number;
  readonly eventfd: boolean;
  readonly maskable: boolean;
  /** It is masked as it occurs, until it is unmasked. */
  readonly automasked: boolean;
  /** Vectors cannot be added while some are enabled: all are disabled first. */
  readonly noresize: boolean;
};

/** A PCI function of the host that its machine holds open through VFIO. Everything is closed with the machine at the latest. */
export interface HostDevice {
  /** `0000:01:10.0`. */
  readonly address: string;
  readonly api: 'group' | 'iommufd';
  /** How the host resets it, by preference, as sysfs has it (`reset_method`: `flr`, `pm`, `bus`); empty: it cannot alone. */
  readonly resetMethods: readonly string[];
  /** @param index a BAR 0-5, or one of `REGION` */
  region(index: number): HostRegion;
  /** @param index one of `IRQ` */
  irq(index: number): HostIrq;
  /**
   * Connects eventfds to vectors, from `start` on; null: that vector signals nothing. Enables the interrupt if it is not.
   * @throws HostDeviceError
   */
  setTriggers(index: number, start: number, fds: readonly (number | null)[]): void;
  /** Disconnects all vectors, and disables the interrupt; nothing if it is disabled. */
  disable(index: number): void;
  /** A signal of `fd` unmasks INTx inside the kernel; null: no longer. @throws HostDeviceError */
  setUnmask(fd: number | null): void;
  /** Masks or unmasks INTx. @throws HostDeviceError */
  maskIntx(masked: boolean): void;
  /** VFIO_DEVICE_RESET, or a reset of the bus if all functions that it concerns are this machine's. @returns whether it was reset */
  reset(): boolean;
  /** Bytes of guest memory that it can reach, and in how many mappings of the IOMMU. */
  readonly mappings: { readonly bytes: number; readonly count: number };
  /** Calls back when `mappings` has changed. */
  onMappings(hook: () => void): Cancel;
  close(): void;
}

/** A call of the kernel about a device failed. The message is for the user: what failed, the reason and the next step. */
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
  /** @param address full: `0000:01:10.0`. @throws an error for the user */
  open(address: string): HostDevice;
}
