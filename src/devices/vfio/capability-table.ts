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
  rule(0x03, 'vital product data', 'passed', "it is the device's own, and reached through a window of it", 8),
  rule(0x04, 'slot identification', 'hidden', 'it is about the slot of the host', 4),
  rule(0x05, 'MSI', 'virtual', 'addresses and data are of the guest, and messages go through the kernel'),
  rule(0x06, 'CompactPCI hot swap', 'hidden', 'it is about the slot of the host'),
  rule(0x07, 'PCI-X', 'read', 'the bus is the one of the host', 8),
  rule(0x08, 'HyperTransport', 'hidden', 'the link is the one of the host'),
  rule(0x09, 'vendor-specific', 'passed', "its driver needs it, and it is the vendor's to say how"),
  rule(0x0a, 'debug port', 'read', 'it says where in a BAR the port is', 4),
  rule(0x0b, 'CompactPCI central resource control', 'hidden', 'it is about the slot of the host'),
  rule(0x0c, 'hot-plug controller', 'hidden', 'slots of the host are for the host to control'),
  rule(0x0d, 'bridge subsystem IDs', 'hidden', 'it is of bridges', 8),
  rule(0x0e, 'AGP 8x', 'hidden', 'there is no AGP bridge in the guest'),
  rule(0x0f, 'secure device', 'hidden', 'it would protect memory by addresses of the host'),
  rule(
    0x10,
    'PCI Express',
    'virtual',
    "its type follows from where the guest has it; the link and its power are the host's",
  ),
  rule(
    0x11,
    'MSI-X',
    'virtual',
    'addresses and data are of the guest, and messages go through the kernel',
    12,
  ),
  rule(0x12, 'SATA', 'read', 'it says where the index and data registers are', 8),
  rule(0x13, 'advanced features', 'virtual', 'a function level reset is carried out by the host', 6),
  rule(0x14, 'enhanced allocation', 'hidden', 'the guest places BARs by their registers'),
  rule(0x15, 'flattening portal bridge', 'hidden', 'it is of bridges'),
];

export const EXTENDED_RULES: readonly CapabilityRule[] = [
  rule(0x01, 'advanced error reporting', 'read', 'errors are for the host to handle, which tells the VM'),
  rule(0x02, 'virtual channel', 'hidden', 'the link is the one of the host'),
  rule(0x03, 'serial number', 'read', 'it identifies the device', 12),
  rule(0x04, 'power budgeting', 'passed', 'it is read through a window of it', 16),
  rule(0x05, 'root complex link declaration', 'hidden', 'it is about the host'),
  rule(0x06, 'root complex internal link control', 'hidden', 'it is about the host'),
  rule(0x07, 'root complex event collector', 'hidden', 'it is about the host'),
  rule(0x08, 'multi-function virtual channel', 'hidden', 'the link is the one of the host'),
  rule(0x09, 'virtual channel', 'hidden', 'the link is the one of the host'),
  rule(0x0a, 'root complex register block', 'hidden', 'it is about the host'),
  rule(0x0b, 'vendor-specific', 'passed', "its driver needs it, and it is the vendor's to say how"),
  rule(0x0d, 'access control services', 'hidden', 'they isolate devices of the host from each other'),
  rule(0x0e, 'alternative routing ID', 'hidden', 'the guest numbers functions itself'),
  rule(0x0f, 'address translation services', 'hidden', 'the guest has no IOMMU that would translate'),
  rule(0x10, 'SR-IOV', 'hidden', 'its virtual functions would appear on the host'),
  rule(0x11, 'multi-root IOV', 'hidden', 'it is about the host'),
  rule(0x12, 'multicast', 'hidden', 'addresses are of the host'),
  rule(0x13, 'page requests', 'hidden', 'the guest has no IOMMU that would answer'),
  rule(0x15, 'resizable BAR', 'hidden', 'the host has assigned memory for the present size'),
  rule(0x16, 'dynamic power allocation', 'hidden', 'power is for the host to allocate'),
  rule(0x17, 'TPH requester', 'hidden', 'steering tags are of the CPUs of the host'),
  rule(0x18, 'latency tolerance', 'hidden', 'the link is the one of the host'),
  rule(0x19, 'secondary PCI Express', 'hidden', 'the link is the one of the host'),
  rule(0x1a, 'protocol multiplexing', 'hidden', 'the link is the one of the host'),
  rule(0x1b, 'PASID', 'hidden', 'the guest has no IOMMU that would translate'),
  rule(0x1d, 'downstream port containment', 'hidden', 'it is of ports'),
  rule(0x1e, 'L1 substates', 'hidden', 'the link is the one of the host'),
  rule(0x1f, 'precision time measurement', 'hidden', 'the ports of the guest do not take part'),
  rule(0x22, 'readiness time', 'read', 'it says how long the device takes after a reset', 12),
  rule(0x23, 'designated vendor-specific', 'read', 'what it controls may be of the host, such as a CXL link'),
  rule(0x24, 'VF resizable BAR', 'hidden', 'virtual functions are of the host'),
  rule(0x25, 'data link feature', 'hidden', 'the link is the one of the host'),
  rule(0x26, 'physical layer at 16 GT/s', 'hidden', 'the link is the one of the host'),
  rule(0x27, 'lane margining', 'hidden', 'the link is the one of the host'),
  rule(0x2a, 'physical layer at 32 GT/s', 'hidden', 'the link is the one of the host'),
  rule(0x2e, 'data object exchange', 'hidden', 'what it exchanges may concern the host'),
];

const UNKNOWN: Omit<CapabilityRule, 'id'> = {
  name: 'unknown capability',
  how: 'hidden',
  why: 'nothing is known of what it would let a guest do',
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
