/**
 * How a guest sees each capability of a passed-through device. Identifiers and sizes: PCI Local Bus 3.0 §6.7 and
 * appendix H, PCI Code and ID Assignment 1.11, PCI Express Base 4.0 §7.
 */
export type CapabilityRule = {
  readonly id: number;
  readonly name: string;
  /**
   * `passed`: the guest reads and writes the device's registers; `read`: it only reads them; `virtual`: they are
   * emulated by a model, which changes the device as needed; `hidden`: they read as zeros.
   */
  readonly how: 'passed' | 'read' | 'virtual' | 'hidden';
  readonly why: string;
  /** Bytes; default: up to the next capability. */
  readonly size?: number;
};

export const CAPABILITY_RULES: readonly CapabilityRule[] = [
  rule(
    0x01,
    'power management',
    'virtual',
    'its BARs leave the guest before the device sleeps; wake-up signals go to the host',
    8,
  ),
  rule(0x02, 'AGP', 'hidden', 'there is no AGP bridge in the guest'),
  rule(
    0x03,
    'vital product data',
    'passed',
    'it belongs to the device, and is read through a register window',
    8,
  ),
  rule(0x04, 'slot identification', 'hidden', 'it describes the host slot', 4),
  rule(0x05, 'MSI', 'virtual', 'the guest sets addresses and data, and the kernel delivers the messages'),
  rule(0x06, 'CompactPCI hot swap', 'hidden', 'it describes the host slot'),
  rule(0x07, 'PCI-X', 'read', 'it describes the host bus', 8),
  rule(0x08, 'HyperTransport', 'hidden', 'it describes the host link'),
  rule(0x09, 'vendor-specific', 'passed', 'its driver needs it, and only the vendor defines how it works'),
  rule(0x0a, 'debug port', 'read', 'it says where the port is in a BAR', 4),
  rule(0x0b, 'CompactPCI central resource control', 'hidden', 'it describes the host slot'),
  rule(0x0c, 'hot-plug controller', 'hidden', 'the host controls its slots'),
  rule(0x0d, 'bridge subsystem IDs', 'hidden', 'only bridges have it', 8),
  rule(0x0e, 'AGP 8x', 'hidden', 'there is no AGP bridge in the guest'),
  rule(0x0f, 'secure device', 'hidden', 'it would protect memory by host addresses'),
  rule(
    0x10,
    'PCI Express',
    'virtual',
    'its type follows from its place in the guest; the host controls the link and its power',
  ),
  rule(
    0x11,
    'MSI-X',
    'virtual',
    'the guest sets addresses and data, and the kernel delivers the messages',
    12,
  ),
  rule(0x12, 'SATA', 'read', 'it says where the index and data registers are', 8),
  rule(0x13, 'advanced features', 'virtual', 'the host carries out a function level reset', 6),
  rule(0x14, 'enhanced allocation', 'hidden', 'the guest places BARs by their registers'),
  rule(0x15, 'flattening portal bridge', 'hidden', 'only bridges have it'),
];

export const EXTENDED_RULES: readonly CapabilityRule[] = [
  rule(0x01, 'advanced error reporting', 'read', 'the host handles errors, and reports them to the VM'),
  rule(0x02, 'virtual channel', 'hidden', 'it describes the host link'),
  rule(0x03, 'serial number', 'read', 'it identifies the device', 12),
  rule(0x04, 'power budgeting', 'passed', 'it is read through a register window', 16),
  rule(0x05, 'root complex link declaration', 'hidden', 'it describes the host'),
  rule(0x06, 'root complex internal link control', 'hidden', 'it describes the host'),
  rule(0x07, 'root complex event collector', 'hidden', 'it describes the host'),
  rule(0x08, 'multi-function virtual channel', 'hidden', 'it describes the host link'),
  rule(0x09, 'virtual channel', 'hidden', 'it describes the host link'),
  rule(0x0a, 'root complex register block', 'hidden', 'it describes the host'),
  rule(0x0b, 'vendor-specific', 'passed', 'its driver needs it, and only the vendor defines how it works'),
  rule(0x0d, 'access control services', 'hidden', 'they isolate devices of the host from each other'),
  rule(0x0e, 'alternative routing ID', 'hidden', 'the guest numbers functions itself'),
  rule(0x0f, 'address translation services', 'hidden', 'the guest has no IOMMU that would translate'),
  rule(0x10, 'SR-IOV', 'hidden', 'its virtual functions would appear on the host'),
  rule(0x11, 'multi-root IOV', 'hidden', 'it describes the host'),
  rule(0x12, 'multicast', 'hidden', 'it contains host addresses'),
  rule(0x13, 'page requests', 'hidden', 'the guest has no IOMMU that would answer'),
  rule(0x15, 'resizable BAR', 'hidden', 'the host has assigned memory for the present size'),
  rule(0x16, 'dynamic power allocation', 'hidden', 'the host allocates power'),
  rule(0x17, 'TPH requester', 'hidden', 'steering tags refer to host CPUs'),
  rule(0x18, 'latency tolerance', 'hidden', 'it describes the host link'),
  rule(0x19, 'secondary PCI Express', 'hidden', 'it describes the host link'),
  rule(0x1a, 'protocol multiplexing', 'hidden', 'it describes the host link'),
  rule(0x1b, 'PASID', 'hidden', 'the guest has no IOMMU that would translate'),
  rule(0x1d, 'downstream port containment', 'hidden', 'only ports have it'),
  rule(0x1e, 'L1 substates', 'hidden', 'it describes the host link'),
  rule(0x1f, 'precision time measurement', 'hidden', 'the ports of the guest do not take part'),
  rule(0x22, 'readiness time', 'read', 'it says how long the device takes after a reset', 12),
  rule(0x23, 'designated vendor-specific', 'read', 'it may control a part of the host, such as a CXL link'),
  rule(0x24, 'VF resizable BAR', 'hidden', 'virtual functions belong to the host'),
  rule(0x25, 'data link feature', 'hidden', 'it describes the host link'),
  rule(0x26, 'physical layer at 16 GT/s', 'hidden', 'it describes the host link'),
  rule(0x27, 'lane margining', 'hidden', 'it describes the host link'),
  rule(0x2a, 'physical layer at 32 GT/s', 'hidden', 'it describes the host link'),
  rule(0x2e, 'data object exchange', 'hidden', 'what it exchanges may concern the host'),
];

const UNKNOWN: Omit<CapabilityRule, 'id'> = {
  name: 'unknown capability',
  how: 'hidden',
  why: 'what it would let a guest do is unknown',
};

/** The rule for a capability; capabilities that are not in the table are hidden. */
export function ruleFor(rules: readonly CapabilityRule[], id: number): CapabilityRule {
  return rules.find(rule => rule.id === id) ?? { id, ...UNKNOWN };
}

function rule(
  id: number,
  name: string,
  how: CapabilityRule['how'],
  why: string,
  size?: number,
): CapabilityRule {
  return { id, name, how, why, ...(size !== undefined && { size }) };
}
