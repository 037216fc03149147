/**
 * PCI class codes, down to the subclass (PCI Code and ID Assignment Specification), that checks depend on. The base
 * class alone would confuse an NVMe disk with memory, or a GPU's own bridge with a GPU.
 */
export type ClassTraits = {
  /** PCI-to-PCI: it keeps its port driver, also for VFIO. */
  readonly pciBridge: boolean;
  /** What it is, if the machine cannot run without it; null for an ordinary device. */
  readonly critical: string | null;
  readonly display: boolean;
};

const critical: Readonly<Record<string, string>> = {
  '0500': 'memory controller',
  '0600': 'host bridge',
  '0601': 'ISA bridge',
  '0602': 'EISA bridge',
  '0604': 'PCI bridge',
  '0609': 'semi-transparent PCI bridge',
  '0800': 'interrupt controller',
  '0801': 'DMA controller',
  '0802': 'timer',
  '0803': 'real-time clock',
  '0804': 'hot-plug controller',
  '0806': 'IOMMU',
  '0807': 'root complex event collector',
  '0c05': 'SMBus controller',
};

const displays = new Set(['0001', '0300', '0301', '0302', '0380']);

/** @param code six hex digits, as in `PciFunction.class`. */
export function classTraits(code: string): ClassTraits {
  const subclass = code.slice(0, 4);
  return {
    pciBridge: subclass === '0604' || subclass === '0609',
    critical: critical[subclass] ?? null,
    display: displays.has(subclass),
  };
}
