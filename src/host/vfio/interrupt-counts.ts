import type { HostRoot } from '../root.ts';

/** How often the host has handled one interrupt vector of a device that a VM has. */
export type VectorCount = {
  readonly address: string;
  readonly kind: 'intx' | 'msi' | 'msix';
  /** 0 for INTx. */
  readonly vector: number;
  /** Since the vector was set up. */
  readonly count: number;
};

/**
 * As vfio-pci names them (drivers/vfio/pci/vfio_pci_intrs.c): `vfio-msix[3](0000:01:10.0)`, `vfio-intx(0000:01:10.0)`.
 */
const NAME = /^vfio-(intx|msix?)(?:\[(\d+)\])?\(([0-9a-f:.]+)\)$/;
const INTERRUPTS_LIMIT = 64 << 20;

/** The vectors of these devices that are set up, in order. */
export function readInterruptCounts(root: HostRoot, addresses: ReadonlySet<string>): VectorCount[] {
  const text = root.text('/proc/interrupts', INTERRUPTS_LIMIT) ?? '';
  const cpus = text.slice(0, text.indexOf('\n')).trim().split(/\s+/).filter(Boolean).length;
  const counts = text
    .split('\n')
    .flatMap(line => (line.includes('vfio-') ? countsOf(line, cpus, addresses) : []));
  return counts.sort((a, b) =>
    a.address === b.address ? a.vector - b.vector : a.address < b.address ? -1 : 1,
  );
}

/** Of a line `irq: counts... chip hwirq-type names`: an INTx line may have several users. */
function countsOf(line: string, cpus: number, addresses: ReadonlySet<string>): VectorCount[] {
  const words = line.trim().split(/\s+/);
  const count = words.slice(1, 1 + cpus).reduce((sum, word) => sum + (Number(word) || 0), 0);
  return words.slice(1 + cpus).flatMap(word => {
    const [, kind, vector = '0', address = ''] = NAME.exec(word.replace(/,$/, '')) ?? [];
    if (kind === undefined || !addresses.has(address)) return [];
    return [{ address, kind: kind as VectorCount['kind'], vector: Number(vector), count }];
  });
}

/** Intel VT-d, capability register: posted interrupts (VT-d 4.0 §11.4.2). */
const DMAR_POSTED = 1n << 59n;
/** AMD IOMMU, extended feature register: guest virtual APIC (AMD IOMMU 3.09 §3.4.9). */
const IVHD_GUEST_APIC = 1n << 7n;

/**
 * Whether the IOMMU may post interrupts to running vCPUs directly: the host does not handle those, so it does not count
 * them either.
 */
export function postsInterrupts(root: HostRoot): boolean {
  const has = (attribute: string, bit: bigint) =>
    (root.list('/sys/class/iommu') ?? []).some(unit => {
      const text = root.attribute(`/sys/class/iommu/${unit}/${attribute}`);
      return text !== null && /^[0-9a-f]+$/i.test(text) && (BigInt(`0x${text}`) & bit) !== 0n;
    });
  const isOn = (parameter: string) => /^[Y1]/.test(root.attribute(`/sys/module/${parameter}`) ?? '');
  return (
    (isOn('kvm_intel/parameters/enable_apicv') && has('intel-iommu/cap', DMAR_POSTED)) ||
    (isOn('kvm_amd/parameters/avic') && has('amd-iommu/features', IVHD_GUEST_APIC))
  );
}
