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

/** Power management: offsets in the capability, and bytes behind ID and next pointer (PCI Bus Power Management Interface 1.2 §3.2). */
const POWER = { capabilities: 2, control: 4, body: 6 } as const;
const POWER_VERSION_1_2 = 0x3;
const POWER_STATE = 0x3;
const [D0, D3_HOT] = [0, 3];
const NO_SOFT_RESET = 1 << 3;

/** The null capability (PCI Code and ID Assignment 1.11 §2): drivers skip it. */
const HIDDEN = 0x00;

/**
 * The PCI Express capability of a device: part of the root complex on bus 0, an endpoint behind a root port, and absent on
 * a conventional bus.
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

/** The PCI Express capability of a root port; its slot registers are for the slot to define. @returns its offset */
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

/**
 * Power management with D0 and D3hot (PCI Bus Power Management Interface 1.2 §3.2).
 * @param options.softReset the function comes back from D3hot reset (§5.4.1); otherwise it keeps its state
 */
export function addPowerManagement(fn: PciFunction, { softReset = false } = {}): void {
  const at = fn.addCapability(CAPABILITY.powerManagement, new Uint8Array(POWER.body));
  const control = at + POWER.control;
  fn.config.define(at + POWER.capabilities, 2, POWER_VERSION_1_2);
  fn.config.define(control, 2, softReset ? 0 : NO_SOFT_RESET, { writable: POWER_STATE });
  if (!softReset) return;
  const state = () => fn.config.u16(control) & POWER_STATE;
  let before = 0;
  fn.addHook({
    start: control,
    end: control + 2,
    beforeWrite: () => {
      before = state();
    },
    afterWrite: () => {
      if (before === D3_HOT && state() === D0) fn.busReset();
    },
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
