import type { Capability } from './capability-types.ts';
import type { ConfigAccess } from './config-space.ts';

/** One region of a function's address space. */
export type PciRegion = {
  /** `bar 0`..`bar 5`, `rom`, `vf bar 0`.. (for all VFs together), or a bridge's `window`. */
  readonly name: string;
  readonly kind: 'memory' | 'io';
  /** Bus address as the CPU sees it, hexadecimal: 64 bits do not fit a JSON number. */
  readonly start: string;
  /** In bytes. */
  readonly size: number;
  readonly bits: 16 | 32 | 64;
  readonly prefetchable: boolean;
};

/**
 * One PCI function as the kernel and its config space describe it. Ids are lower-case hex without 0x: four digits,
 * six for the class, two for the revision.
 */
export type PciFunction = {
  readonly address: string;
  /** Its directory in sysfs, free of links. */
  readonly path: string;
  /** The bridge above, or null directly below a root bus. */
  readonly parent: string | null;
  /** `0000:00`: domain and number of its root bus. */
  readonly rootBus: string;
  readonly class: string;
  readonly vendor: string;
  readonly device: string;
  readonly subsystemVendor: string | null;
  readonly subsystemDevice: string | null;
  readonly revision: string;
  readonly names: {
    readonly class: string | null;
    readonly vendor: string | null;
    readonly device: string | null;
    readonly subsystem: string | null;
  };
  /** The bound driver. */
  readonly driver: string | null;
  /** The only driver that may bind, if set. */
  readonly driverOverride: string | null;
  /** Kernel modules whose aliases claim it, best match first. */
  readonly modules: readonly string[];
  /** VFIO variant drivers for this device, such as mlx5_vfio_pci; without vfio_pci itself. */
  readonly vfioModules: readonly string[];
  /** Null on a host without NUMA. */
  readonly numaNode: number | null;
  /** Null without an IOMMU. */
  readonly iommuGroup: number | null;
  /** Buses behind a bridge. */
  readonly bridge: { readonly secondary: number; readonly subordinate: number } | null;
  readonly multifunction: boolean;
  /** Function number 0-255 below a port with ARI forwarding; else null. */
  readonly ariFunction: number | null;
  /** The physical function of a VF. */
  readonly physicalFunction: string | null;
  /** VFs of a physical function, by index. */
  readonly virtualFunctions: readonly string[];
  /** True for the display adapter that the firmware used at boot. */
  readonly bootVga: boolean;
  readonly regions: readonly PciRegion[];
  readonly configAccess: ConfigAccess;
  readonly capabilities: readonly Capability[];
};

/** A function without its largest parts, which are sent for one function at a time. */
export type PciSummary = Omit<PciFunction, 'regions' | 'capabilities'>;

export function summaryOf({ regions: _, capabilities: __, ...summary }: PciFunction): PciSummary {
  return summary;
}

/** Vendor and device name, or the ids if the database has no name. */
export function deviceName(fn: Pick<PciFunction, 'names' | 'vendor' | 'device'>): string {
  const vendor = fn.names.vendor ?? `vendor ${fn.vendor}`;
  return `${vendor} ${fn.names.device ?? `device ${fn.device}`}`;
}
