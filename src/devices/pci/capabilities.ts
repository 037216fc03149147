import type { PciFunction } from './pci-function.ts';
import { EXPRESS_TYPE, LINK_CAPABILITIES, PCIE } from './pcie-capability.ts';
import { CAPABILITY } from './registers.ts';

/** PCI Express capabilities register: version, and the device/port type at bit 4. */
const VERSION_2 = 0x2;
const TYPE_SHIFT = 4;
const SLOT_IMPLEMENTED = 0x100;

/** Role-based error reporting, which version 2 requires. */
const DEVICE_CAPABILITIES = 1 << 15;
/** Device control: everything but "initiate function level reset", which no function offers. */
const DEVICE_CONTROL_WRITABLE = 0x7fff;
const DEVICE_STATUS_CLEARABLE = 0xf;
/** A link of one lane at 2.5 GT/s: it carries no traffic. */
const LINK_GEN1_X1 = 0x11;
const LINK_CONTROL_WRITABLE = 0x0fc3;
const ROOT_CONTROL_WRITABLE = 0x1f;

/** The null capability (PCI Code and ID Assignment 1.11 §2): drivers skip it. */
const HIDDEN = 0x00;

/**
 * The PCI Express capability of a device: integrated in the root complex on bus 0, an endpoint behind a root port, and
 * absent on a conventional bus.
 */
export function addEndpointCapability(fn: PciFunction): void {
  const at = addPcieCapability(fn, EXPRESS_TYPE.rootComplexEndpoint);
  fn.onAttach(({ type }) => {
    fn.config.define(at, 1, type === 'conventional' ? HIDDEN : CAPABILITY.pciExpress);
    const onLink = type === 'link';
    const portType = onLink ? EXPRESS_TYPE.endpoint : EXPRESS_TYPE.rootComplexEndpoint;
    fn.config.define(at + PCIE.capabilities, 2, VERSION_2 | (portType << TYPE_SHIFT));
    if (onLink) addLink(fn, at);
  });
}

/** The PCI Express capability of a root port; the slot defines its slot registers. @returns its offset */
export function addRootPortCapability(fn: PciFunction): number {
  const at = addPcieCapability(fn, EXPRESS_TYPE.rootPort, SLOT_IMPLEMENTED);
  addLink(fn, at, LINK_CAPABILITIES.reportsActive);
  fn.config.define(at + PCIE.rootControl, 2, 0, { writable: ROOT_CONTROL_WRITABLE });
  return at;
}

/** The PCI Express capability of a bridge to a conventional bus. */
export function addPcieBridgeCapability(fn: PciFunction): void {
  const at = addPcieCapability(fn, EXPRESS_TYPE.toPciBridge);
  fn.onAttach(({ type }) => {
    if (type === 'link') addLink(fn, at);
  });
}

function addPcieCapability(fn: PciFunction, type: number, flags = 0): number {
  const at = fn.addCapability(CAPABILITY.pciExpress, new Uint8Array(PCIE.body));
  const { config } = fn;
  config.define(at + PCIE.capabilities, 2, VERSION_2 | (type << TYPE_SHIFT) | flags);
  config.define(at + PCIE.deviceCapabilities, 4, DEVICE_CAPABILITIES);
  config.define(at + PCIE.deviceControl, 2, 0, { writable: DEVICE_CONTROL_WRITABLE });
  config.define(at + PCIE.deviceStatus, 2, 0, { clearable: DEVICE_STATUS_CLEARABLE });
  return at;
}

function addLink(fn: PciFunction, at: number, capabilities = 0): void {
  const { config } = fn;
  config.define(at + PCIE.linkCapabilities, 4, LINK_GEN1_X1 | capabilities);
  config.define(at + PCIE.linkControl, 2, 0, { writable: LINK_CONTROL_WRITABLE });
  config.define(at + PCIE.linkStatus, 2, LINK_GEN1_X1);
}
