/**
 * PCI class codes, exact to the subclass (PCI Code and ID Assignment Specification), that the checks before a change
 * depend on. A check on a base class alone would take an NVMe disk for memory, or a GPU's own bridge for a GPU.
 */
export type ClassTraits = {
  /** PCI-to-PCI: the kernel and vfio leave it on its port driver. */
  readonly pciBridge: boolean;
  /** What the machine cannot run without, in words; null for an ordinary device. */
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
