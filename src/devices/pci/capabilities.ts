import type { PciFunction } from './pci-function.ts';
import { CAPABILITY } from './registers.ts';

/** Offsets in the PCI Express capability (PCI Express Base 4.0 §7.5.3), and its bytes behind ID and next pointer. */
const PCIE = {
  capabilities: 2,
  deviceCapabilities: 4,
  deviceControl: 8,
  deviceStatus: 10,
  linkCapabilities: 12,
  linkControl: 16,
  linkStatus: 18,
  slotCapabilities: 20,
  slotStatus: 26,
  rootControl: 28,
  body: 58,
} as const;

/** PCI Express capabilities register: version, and the device/port type at bit 4. */
const VERSION_2 = 0x2;
const TYPE = { endpoint: 0x00, rootPort: 0x40, rootComplexEndpoint: 0x90 } as const;
const SLOT_IMPLEMENTED = 0x100;

/** Role-based error reporting, which version 2 requires. */
const DEVICE_CAPABILITIES = 1 << 15;
/** Device control: everything but "initiate function level reset", which no function offers. */
const DEVICE_CONTROL_WRITABLE = 0x7fff;
const DEVICE_STATUS_CLEARABLE = 0xf;
/** A link of one lane at 2.5 GT/s: it carries no traffic. */
const LINK_GEN1_X1 = 0x11;
const LINK_CONTROL_WRITABLE = 0x0fc3;
const SLOT_NUMBER_SHIFT = 19;
/** Slot status: the slot is occupied. */
const PRESENCE_DETECTED = 0x40;
const ROOT_CONTROL_WRITABLE = 0x1f;

/** The PCI Express capability of a device: part of the root complex on bus 0, behind a root port an endpoint. */
export function addEndpointCapability(fn: PciFunction): void {
  const at = addPcieCapability(fn, TYPE.rootComplexEndpoint);
  fn.onAttach(bus => {
    if (bus.type === 'root') return;
    fn.config.define(at + PCIE.capabilities, 2, VERSION_2 | TYPE.endpoint);
    addLink(fn, at);
  });
}

/** The PCI Express capability of a root port, with a slot whose device can't be unplugged. */
export function addRootPortCapability(fn: PciFunction, slot: number): void {
  const at = addPcieCapability(fn, TYPE.rootPort | SLOT_IMPLEMENTED);
  addLink(fn, at);
  fn.config.define(at + PCIE.slotCapabilities, 4, slot << SLOT_NUMBER_SHIFT);
  fn.config.define(at + PCIE.slotStatus, 2, PRESENCE_DETECTED);
  fn.config.define(at + PCIE.rootControl, 2, 0, { writable: ROOT_CONTROL_WRITABLE });
}

/** Power management 1.2: D0 and D3hot, from which the function returns without losing state (no soft reset). */
export function addPowerManagement(fn: PciFunction): void {
  const at = fn.addCapability(CAPABILITY.powerManagement, Uint8Array.of(0x03, 0x00, 0x08, 0x00, 0x00, 0x00));
  fn.config.define(at + 4, 2, 0x0008, { writable: 0x0003 });
}

function addPcieCapability(fn: PciFunction, type: number): number {
  const at = fn.addCapability(CAPABILITY.pciExpress, new Uint8Array(PCIE.body));
  const { config } = fn;
  config.define(at + PCIE.capabilities, 2, VERSION_2 | type);
  config.define(at + PCIE.deviceCapabilities, 4, DEVICE_CAPABILITIES);
  config.define(at + PCIE.deviceControl, 2, 0, { writable: DEVICE_CONTROL_WRITABLE });
  config.define(at + PCIE.deviceStatus, 2, 0, { clearable: DEVICE_STATUS_CLEARABLE });
  return at;
}

function addLink(fn: PciFunction, at: number): void {
  const { config } = fn;
  config.define(at + PCIE.linkCapabilities, 4, LINK_GEN1_X1);
  config.define(at + PCIE.linkControl, 2, 0, { writable: LINK_CONTROL_WRITABLE });
  config.define(at + PCIE.linkStatus, 2, LINK_GEN1_X1);
}
