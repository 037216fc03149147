/** The state of a passed-through device of the host while its machine runs, for screens and commands. */
export type HostDeviceFacts = {
  /** Its address on the host: `0000:01:10.0`. */
  readonly address: string;
  /** The kernel's interface through which it is open (linux/vfio.h, linux/iommufd.h). */
  readonly api: 'group' | 'iommufd';
  /** How it is reset: `flr`, `pm`, `bus`, or `none`. */
  readonly reset: string;
  /** Its BARs, and its expansion ROM. */
  readonly bars: readonly HostDeviceBar[];
  readonly interrupts: {
    /** The kind that its driver has enabled. */
    readonly kind: 'none' | 'intx' | 'msi' | 'msix';
    /** The device's vectors of this kind. */
    readonly vectors: number;
    /** The vectors that are connected to the guest. */
    readonly enabled: number;
  };
  /** Guest memory that it can access: what is mapped in the IOMMU for it. */
  readonly mappings: { readonly bytes: number; readonly count: number };
};

export type HostDeviceBar = {
  /** 0 to 5; 6 is the expansion ROM. */
  readonly index: number;
  readonly kind: 'memory' | 'io' | 'rom';
  /** Bytes. */
  readonly size: number;
  /** The guest's address of it, in hexadecimal; null while it is not decoded. */
  readonly address: string | null;
  /** Bytes that the guest reaches without an exit. */
  readonly mapped: number;
  readonly prefetchable: boolean;
};
